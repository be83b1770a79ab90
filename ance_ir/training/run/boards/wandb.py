"""Weights & Biases: a run of the project that WANDB_PROJECT names, or of ance_ir.

runs/x/wandb.json     the run's id there
runs/x/wandb/         its files, which ``wandb sync`` uploads if WANDB_MODE was offline
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from ance_ir.errors import TrainingError
from ance_ir.files import write_json
from ance_ir.optional import optional
from ance_ir.training.run.boards._board import BoardKind, Lines, parts
from ance_ir.training.run.manifest import decisive, read_manifest
from ance_ir.typed_json import read_typed


class _Identity(TypedDict):
    id: str


def _library() -> Any:
    return optional("wandb", needed_for="a log for Weights & Biases", remedy="pip install 'ance_ir[wandb]'")


class WeightsAndBiases:
    """Logs the lines of a log; steps that are there already are not logged again.

    Args:
        run: the run's folder.
        step: the first that will be written.
        kept: the lines of the steps before.

    Raises:
        MissingDependencyError: wandb is not installed.
        TrainingError: no run can be begun, such as without an account.
    """

    def __init__(self, run: Path, step: int, kept: Lines) -> None:
        library, path = _library(), run / "wandb.json"
        begun = path.exists()
        name = read_typed(path, _Identity, error=TrainingError, remedy="remove it")["id"] if begun else secrets.token_hex(4)
        try:
            self._run = library.init(
                dir=str(run),
                project=os.environ.get("WANDB_PROJECT", "ance_ir"),
                name=os.environ.get("WANDB_NAME", run.name),
                id=name,
                resume="allow",
                config=decisive(read_manifest(run / "run.json")),
                settings=library.Settings(console="off"),
            )
        except library.Error as error:
            raise TrainingError(f"wandb: {error}; `wandb login`, or WANDB_MODE=offline, may help") from error
        write_json(path, {"id": name})
        self._run.define_metric("dev/*", step_metric="dev/step")
        for line in () if begun else kept:
            self.write(line)

    def write(self, line: Mapping[str, Any]) -> None:
        """Log a line."""
        if line["step"] < self._run.step:
            return
        values: dict[str, float] = {}
        for part, step, numbers in parts(line):
            values |= {f"dev/{name}": value for name, value in (*numbers.items(), ("step", step))} if part == "dev" else numbers
        self._run.log(values, step=line["step"])

    def close(self) -> None:
        """Upload what is left."""
        self._run.finish(exit_code=int(sys.exc_info()[0] is not None))


BOARD = BoardKind(check=_library, open=WeightsAndBiases)
