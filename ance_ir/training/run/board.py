"""The values of a log as scalars for TensorBoard.

runs/x/tensorboard/train/     what each step logged, at that step
runs/x/tensorboard/dev/       dev measures, at the number of steps that the model had been trained
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ance_ir.optional import optional


def summary_writer() -> Any:
    """PyTorch's class that writes for TensorBoard.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """
    reasons = {"package": "tensorboard", "needed_for": "a log for TensorBoard", "remedy": "pip install 'ance_ir[train]'"}
    optional("tensorboard", **reasons)
    return optional("torch.utils.tensorboard", **reasons).SummaryWriter


class Board:
    """Writes the lines of a log for TensorBoard.

    What was written of steps that are done again is hidden, so that no step has two values. Where there is no board yet, it begins with
    the steps that the log holds.

    Args:
        folder: of the board.
        step: the first that will be written.
        kept: the lines of the steps before.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, step: int, kept: Sequence[Mapping[str, Any]] = ()) -> None:
        self._folder = folder
        self._writer = summary_writer()
        self._next = {"train": step, "dev": 1 + max((line["dev"]["step"] for line in kept if "dev" in line), default=-1)}
        self._open: dict[str, Any] = {}
        if folder.exists():
            for part in self._next:
                if (folder / part).exists():
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
        values_of_step = {name: value for name, value in line.items() if name not in ("step", "dev")}
        for part, values, step in (("train", values_of_step, line["step"]), ("dev", line.get("dev", {}), line.get("dev", {}).get("step"))):
            for name, value in _numbers(values):
                self._part(part).add_scalar(name, value, step)

    def _part(self, part: str) -> Any:
        """The writer of a folder, which hides what lies there of later steps."""
        if part not in self._open:
            self._open[part] = self._writer(str(self._folder / part), purge_step=self._next[part])
        return self._open[part]


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in objects within objects, by names with slashes between them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "step":
            yield f"{prefix}{name}", float(value)
