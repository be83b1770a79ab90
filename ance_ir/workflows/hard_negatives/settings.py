"""Which negatives are mined for training elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from ance_ir.brief import Brief
from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.indexes.mining import Filters
from ance_ir.training import Draw


@dataclass(frozen=True, kw_only=True, repr=False)
class HardNegatives(Brief):
    """Which negatives are mined.

    Attributes:
        negatives_per_query: how many are drawn for each query; fewer where there are no more candidates.
        at_least: queries with fewer are left out.
        depth: documents of a ranking that they are drawn from, not counting those that a query excludes.
        filters: which of these are safe.
        draw: how they are drawn: ``"uniform"``, ``"top"`` (those that rank first), or ``"score"`` (by the softmax of their scores).
        temperature: scores are divided by it in the softmax.
        seed: of the draws.
        scores: whether records have the system's scores; positives that it does not score are left out then.

    Raises:
        UsageError: a number is out of its range, or there is no such way to draw.
    """

    negatives_per_query: int = 7
    at_least: int = 1
    depth: int = 200
    filters: Filters = field(default_factory=Filters)
    draw: Draw = "uniform"
    temperature: float = 1.0
    seed: int = 42
    scores: bool = False

    def __post_init__(self) -> None:
        check_choice("draw", self.draw, get_args(Draw))
        for name in ("negatives_per_query", "depth"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, not {getattr(self, name)}")
        if not 0 <= self.at_least <= self.negatives_per_query:
            raise UsageError(f"at_least is 0 to negatives_per_query, which is {self.negatives_per_query}, not {self.at_least}")
        if self.negatives_per_query > self.depth:
            raise UsageError(f"{self.negatives_per_query} negatives a query cannot be drawn from a depth of {self.depth} documents")
        if not self.temperature > 0:
            raise UsageError(f"temperature is above 0, not {self.temperature}")
        if self.seed < 0:
            raise UsageError(f"seed is at least 0, not {self.seed}")

    @property
    def decisive(self) -> Mapping[str, Any]:
        """What decides which negatives are drawn for a query, for a manifest."""
        names = ("negatives_per_query", "depth", "draw", "temperature", "seed")
        return {**{name: getattr(self, name) for name in names}, "filters": dict(self.filters.settings)}
