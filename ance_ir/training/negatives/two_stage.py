"""Initial negatives until a step, others after it: the paper's BM25 warm-up, in one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ance_ir.training.negatives.source import NegativeSchedule, NegativeSource
from ance_ir.training.refresh.mined import MinedNegatives


class TwoStageNegatives(NegativeSchedule):
    """One source until a step, another from that step on.

    Args:
        first: the source of the initial negatives.
        then: the source after them.
        until: the first step that draws from ``then``.
    """

    def __init__(self, first: NegativeSource, then: NegativeSource, until: int) -> None:
        self._first, self._then, self._until = first, then, until
        self.name = f"{first.name} -> {then.name}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The step, and both sources' settings."""
        return {"until": self._until, "first": dict(self._first.settings), "then": dict(self._then.settings)}

    def at(self, step: int) -> NegativeSource:
        """See ``NegativeSchedule.at``."""
        return self._first if step < self._until else self._then

    def use(self, mined: MinedNegatives) -> None:
        """See ``NegativeSchedule.use``."""
        self._first.use(mined)
        self._then.use(mined)
