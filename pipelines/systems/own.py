"""The user's own pipelines, from a Python file."""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path

import pyterrier as pt

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.files import as_path
from ance_ir.pipelines.systems.named import NAMES
from ance_ir.pipelines.systems.parser import FUNCTIONS

FUNCTION = "pipelines"


def load_pipelines(path: Path | str, dataset: Dataset) -> dict[str, pt.Transformer]:
    """Run a Python file and call its function ``pipelines(dataset)``; returns that function's pipelines by name.

    Args:
        path: the file. Its code is run, so it should be your own.
        dataset: the argument of the function.

    Raises:
        UsageError: there is no such function, it or the file fails, it returns no transformers by name, or a name is taken.
    """
    path = as_path(path)
    try:
        function = runpy.run_path(str(path)).get(FUNCTION)
        if not callable(function):
            raise UsageError(f"{path} defines no function {FUNCTION}(dataset) that returns a dictionary of pipelines by name")
        found = function(dataset)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path}{_line(error, path)}: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: {FUNCTION}(dataset) returns a dictionary of pipelines by name, not {_called(found)}")
    for name, pipeline in found.items():
        if not isinstance(name, str) or not name or name != name.strip():
            raise UsageError(f"{path}: expected a name without blanks around it, not {name!r}")
        if not isinstance(pipeline, pt.Transformer):
            raise UsageError(f"{path}: expected {name} to be a PyTerrier transformer, not {_called(pipeline)}")
        if name.lower() in (*NAMES, *FUNCTIONS):
            raise UsageError(f"{path}: the name {name} is taken; `ance-ir systems` lists the names in use")
    return found


def _line(error: BaseException, path: Path) -> str:
    """The line of the file where an error arose, for a message."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def _called(value: object) -> str:
    kind = type(value).__name__
    return f"the class {value.__name__}" if isinstance(value, type) else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
