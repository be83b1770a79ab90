"""What a board is: something that shows the lines of a run's log, and that a run can be resumed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Lines = Sequence[Mapping[str, Any]]


class Board(Protocol):
    """A run's board, open for writing. No step has two values on it, however often the run is resumed."""

    def write(self, line: Mapping[str, Any]) -> None:
        """Write a line of the log."""
        ...

    def close(self) -> None:
        """Write what is left; called while an exception is handled, if there is one."""
        ...


@dataclass(frozen=True, kw_only=True)
class BoardKind:
    """A program that shows runs; the ``BOARD`` of a module of this package.

    Attributes:
        check: raises a ``MissingDependencyError`` where what it needs is not installed; called before a run is begun.
        open: opens a board for a run's folder, given the first step that will be written and the lines of the steps before; a new board
            begins with these.
    """

    check: Callable[[], object]
    open: Callable[[Path, int, Lines], Board]


def parts(line: Mapping[str, Any]) -> Iterator[tuple[str, int, dict[str, float]]]:
    """What a line holds: ``train`` with the values of its step, and ``dev`` with the measures, at the number of steps that the evaluated
    model had been trained. Names of numbers in objects within objects have slashes between them.
    """
    yield "train", int(line["step"]), dict(_numbers({name: value for name, value in line.items() if name != "dev"}))
    if "dev" in line:
        yield "dev", int(line["dev"]["step"]), dict(_numbers(line["dev"]))


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "step":
            yield f"{prefix}{name}", float(value)
