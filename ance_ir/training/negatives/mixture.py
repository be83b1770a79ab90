"""Mixtures of negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.training.negatives.source import InBatch, NegativeSource
from ance_ir.training.refresh.mined import MinedNegatives


class MixedNegatives(NegativeSource):
    """Each negative comes from one of several sources, drawn by weight; the documents of the batch come in addition.

    Args:
        sources: what is mixed; those that draw nothing (``InBatchNegatives``) add the batch's documents and have no weight.
        weights: of the sources, above 0.

    Raises:
        UsageError: a weight is not above 0, nothing is drawn, or two sources disagree about the batch's documents.
    """

    def __init__(self, sources: Sequence[NegativeSource], weights: Sequence[float]) -> None:
        if not all(0 < weight < float("inf") for weight in weights):
            raise UsageError(f"weights of negatives are above 0, not {', '.join(map(str, weights))}")
        kinds = {source.in_batch for source in sources} - {"none"}
        if len(kinds) > 1:
            raise UsageError("negatives are in-batch or nce, not both")
        self.in_batch: InBatch = kinds.pop() if kinds else "none"
        drawn = [(source, weight) for source, weight in zip(sources, weights, strict=True) if source.draws]
        if not drawn:
            raise UsageError("something that is drawn was expected in addition to in-batch negatives, e.g. random or bm25")
        self._sources = [source for source, _ in drawn]
        self._shares = np.array([weight for _, weight in drawn]) / sum(weight for _, weight in drawn)
        self.name = "+".join(source.name for source in sources)
        self.mines = any(source.mines for source in self._sources)
        self._all = list(zip(sources, weights, strict=True))

    @property
    def settings(self) -> Mapping[str, Any]:
        """The sources with their weights."""
        return {"sources": [{"name": source.name, "weight": weight, **source.settings} for source, weight in self._all]}

    def use(self, mined: MinedNegatives) -> None:
        """See ``NegativeSchedule.use``."""
        for source in self._sources:
            source.use(mined)

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """See ``NegativeSource.draw``."""
        which_BN = generator.choice(len(self._sources), size=(len(queries), count), p=self._shares)
        drawn_BN = np.zeros((len(queries), count), dtype=np.int64)
        for number, source in enumerate(self._sources):
            taken_BN = which_BN == number
            counts_B = taken_BN.sum(axis=1)
            for wanted in np.unique(counts_B[counts_B > 0]).tolist():
                rows = np.flatnonzero(counts_B == wanted)
                chosen_BN = np.zeros_like(taken_BN)
                chosen_BN[rows] = taken_BN[rows]
                drawn_BN[chosen_BN] = source.draw(queries[rows], wanted, generator).ravel()
        return drawn_BN
