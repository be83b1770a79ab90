"""How far long work is: a bar for who watches the terminal, and a function that is told."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from tqdm.auto import tqdm

Told = Callable[[int, int], object]
"""Gets how many are done and how many there are."""


class Progress:
    """The progress of one piece of work, by default one that nobody follows; a context manager that ends the bar.

    Args:
        total: how many there are to do.
        what: is done, for the bar.
        unit: of what is counted.
        shown: whether there is a bar.
        told: is called at the beginning and after each update.

    Attributes:
        done: how many are.
    """

    def __init__(self, total: int = 0, what: str = "", unit: str = "", *, shown: bool = False, told: Told | None = None) -> None:
        self.done = 0
        self._total = total
        self._told = told
        self._bar = tqdm(total=total, desc=what, unit=f" {unit}", disable=not shown)
        self.update(0)

    def update(self, count: int) -> None:
        """So many more are done."""
        self.done += count
        self._bar.update(count)
        if self._told is not None:
            self._told(self.done, self._total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
