"""TensorBoard, from files in the run's folder.

runs/x/tensorboard/train/     what each step logged, at that step
runs/x/tensorboard/dev/       dev measures, at the number of steps that the model had been trained
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ance_ir.optional import optional
from ance_ir.training.run.boards._board import BoardKind, Lines, parts


def _summary_writer() -> Any:
    """PyTorch's class that writes for TensorBoard.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """
    reasons = {"package": "tensorboard", "needed_for": "a log for TensorBoard", "remedy": "pip install 'ance_ir[train]'"}
    optional("tensorboard", **reasons)
    return optional("torch.utils.tensorboard", **reasons).SummaryWriter


class TensorBoard:
    """Writes the lines of a log for TensorBoard. What was written of steps that are done again is hidden.

    Args:
        run: the run's folder.
        step: the first that will be written.
        kept: the lines of the steps before.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """

    def __init__(self, run: Path, step: int, kept: Lines) -> None:
        self._folder = run / "tensorboard"
        self._writer = _summary_writer()
        self._next = {"train": step, "dev": 1 + max((line["dev"]["step"] for line in kept if "dev" in line), default=-1)}
        self._open: dict[str, Any] = {}
        if self._folder.exists():
            for part in self._next:
                if (self._folder / part).exists():
                    self._part(part)
        else:
            self._next = dict.fromkeys(self._next, 0)
            for line in kept:
                self._add(line)

    def write(self, line: Mapping[str, Any]) -> None:
        """Write a line of the log; it is in the files when this returns."""
        self._add(line)
        for writer in self._open.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._open.values():
            writer.close()

    def _add(self, line: Mapping[str, Any]) -> None:
        for part, step, values in parts(line):
            for name, value in values.items():
                self._part(part).add_scalar(name, value, step)

    def _part(self, part: str) -> Any:
        """The writer of a folder, which hides what lies there of later steps."""
        if part not in self._open:
            self._open[part] = self._writer(str(self._folder / part), purge_step=self._next[part])
        return self._open[part]


BOARD = BoardKind(check=_summary_writer, open=TensorBoard)
