"""The log of a training run: a line a step, and what is best among them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from ance_ir.errors import TrainingError
from ance_ir.files import atomic_open
from ance_ir.registries import BOARDS
from ance_ir.typed_json import type_fault


class _Line(TypedDict):
    step: int
    refresh: NotRequired[dict[str, Any]]
    dev: NotRequired[dict[str, Any]]


class MetricsLog:
    """Appends a JSON line a step, and writes it to boards, if there are to be any.

    Args:
        path: of the log, in the run's folder.
        step: the first that will be written; the log is cut back to those before.
        boards: names of ``BOARDS``.
    """

    def __init__(self, path: Path, step: int, boards: Sequence[str] = ()) -> None:
        kept = [line for line in read_metrics(path) if line["step"] < step]
        with atomic_open(path) as stream:
            stream.writelines(json.dumps(line) + "\n" for line in kept)
        self._boards = [BOARDS[name].open(path.parent, step, kept) for name in boards]
        self._stream = path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line; it is in the file when this returns."""
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        for board in self._boards:
            board.write(line)

    def close(self) -> None:
        """Close the files."""
        self._stream.close()
        for board in self._boards:
            board.close()


class Best:
    """Which checkpoint is best by the first measure that was evaluated on.

    Args:
        lines: of a log.

    Attributes:
        step: the checkpoint's; ``None`` where nothing was evaluated.
        last: that of the newest one that was evaluated; likewise.
        measure: the name of the measure.
        values: of the measure, by checkpoint.
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]]) -> None:
        self.step: int | None = None
        self.last: int | None = None
        self.measure = ""
        self.values: dict[int, float] = {}
        for line in lines:
            self.take(line)

    def take(self, line: Mapping[str, Any]) -> None:
        """Look at another line."""
        if "dev" in line:
            step = int(line["dev"]["step"])
            measure, value = next(((name, value) for name, value in line["dev"].items() if name != "step"), ("", float("nan")))
            self.measure, self.values[step], self.last = measure, value, max(step, -1 if self.last is None else self.last)
            if value > (float("-inf") if self.step is None else self.values[self.step]):
                self.step = step

    @property
    def without_gain(self) -> int:
        """How many of the evaluated checkpoints came after the best one."""
        return sum(step > self.step for step in self.values) if self.step is not None else 0


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last one that a crash cut off is left out. Empty where there is none.

    Raises:
        TrainingError: another line is damaged.
    """
    texts = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            if number == len(texts):
                break
            line = text
        if fault := type_fault(line, _Line) or _dev_fault(line.get("dev", {"step": 0})):
            raise TrainingError(f"{path}, line {number}: {fault}; restore the file")
        lines.append(line)
    return lines


def _dev_fault(dev: Mapping[str, Any]) -> str:
    if type(dev.get("step")) is int and all(isinstance(value, int | float) for value in dev.values()):
        return ""
    return f"expected a step and numbers under dev, found {str(dict(dev))[:80]}"
