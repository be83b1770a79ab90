"""Where the figures of a GPU are measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch


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
