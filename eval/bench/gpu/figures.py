"""A figure, its bar, and where it is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Something measured.

    Attributes:
        table: of which it is a row: ``"encoding"``.
        case: the model and the size: ``"base, 128"``.
        what: it is, with its unit.
        value: of it.
        ratio: of it to something; NaN where there is nothing to compare with.
        to: what.
        least: the bar: what the ratio should be at least; ``None``: there is none.
        most: likewise, at most.
    """

    table: str
    case: str
    what: str
    value: float
    ratio: float = float("nan")
    to: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def bar(self) -> str:
        """The bar in words."""
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}" if self.most is not None else ""

    @property
    def met(self) -> str:
        """Whether the bar is met; empty where there is none."""
        if not self.bar:
            return ""
        return "yes" if (self.least is None or self.ratio >= self.least) and (self.most is None or self.ratio <= self.most) else "no"

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        shown = {name: getattr(self, name) for name in ("table", "case", "what", "value", "ratio", "to")}
        return {**shown, "bar": self.bar, "met": self.met}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where it is measured.

    Attributes:
        device: the GPU; a processor stands in for one at a small size.
        folder: for files.
        rates: what the card does: floating-point operations or bytes a second, by name; ``ceilings`` finds them.
    """

    device: torch.device
    folder: Path
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def small(self) -> bool:
        """Whether this is no measurement, only a trial."""
        return self.device.type != "cuda"

    def size(self, full: int, small: int) -> int:
        """One of two sizes."""
        return small if self.small else full

    def wait(self) -> None:
        """Wait for the GPU."""
        if not self.small:
            torch.cuda.synchronize(self.device)

    def seconds(self, run: Callable[[], object], rounds: int = 3, *, warm: bool = False) -> float:
        """The median time of a call, after one that does not count unless all are warm."""
        lasted = []
        for _ in range(rounds + (not warm)):
            self.wait()
            began = time.perf_counter()
            run()
            self.wait()
            lasted.append(time.perf_counter() - began)
        return statistics.median(lasted[-rounds:])
