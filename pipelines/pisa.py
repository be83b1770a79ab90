"""PISA, through its extension alone: it writes progress to the standard streams and ends the process on errors, so files are built in a
process of their own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ance_ir.errors import IndexingError
from ance_ir.optional import optional

ALGORITHM = "maxscore"
"""The fast one of PISA's algorithms that adds up terms always in the same order, so that equal documents get equal scores."""

ENCODING = "block_simdbp"
"""How PISA packs postings."""

_LOADED = """
import json, sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path

spec = PathFinder.find_spec("_pisathon", find_spec("pyterrier_pisa").submodule_search_locations)
pisathon = module_from_spec(spec)
spec.loader.exec_module(pisathon)

def describe(folder, stemmer):
    description = {"type": "sparse_index", "format": "pisa", "package_hint": "pyterrier-pisa", "stemmer": stemmer}
    Path(folder, "pt_meta.json").write_text(json.dumps(description))
"""
"""PISA's extension without PyTerrier, whose import would take most of the time, and what makes a folder a ``PisaIndex``."""


def find_pisa(needed_for: str, instead: str) -> Any:
    """The module ``pyterrier_pisa``.

    Args:
        needed_for: its use, for errors.
        instead: what to do on systems that it does not exist for.

    Raises:
        MissingDependencyError: it is not installed; it exists for Linux on x86-64.
    """
    remedy = f"pip install pyterrier-pisa, on Linux on x86-64; elsewhere {instead}"
    return optional("pyterrier_pisa", package="pyterrier-pisa", needed_for=needed_for, remedy=remedy)


@contextlib.contextmanager
def building(script: str, arguments: Sequence[str]) -> Iterator[Callable[[str], None]]:
    """Run a script on PISA's extension, ``pisathon``: yield a function that passes it a line, its standard input; wait for its end.

    Args:
        script: Python.
        arguments: of the script.

    Raises:
        IndexingError: PISA ended with an error.
    """
    command = [sys.executable, "-X", "utf8", "-P", "-c", _LOADED + script, *arguments]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, encoding="utf-8", errors="replace") as process,
    ):

        def failure() -> IndexingError:
            log.seek(0)
            lines = log.read().decode(errors="replace").split("\n")
            reason = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {process.returncode}")
            return IndexingError(f"PISA could not build the index: {reason}")

        def add(line: str) -> None:
            try:
                process.stdin.write(line)  # type: ignore[union-attr]
            except BrokenPipeError:
                raise failure() from None

        try:
            yield add
            process.communicate()
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode:
            raise failure()
