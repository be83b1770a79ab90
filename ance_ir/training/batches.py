"""The batches of a step: a function of the seed and the step alone, so that a resumed run needs no random state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ance_ir.training.negatives.source import InBatch, NegativeSchedule, NegativeSource
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run.settings import TrainingSettings

_ORDER, _DRAWS, _DROPOUT = range(3)
"""Streams of random numbers that must not meet."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """B queries with one positive and N negatives each; documents by number.

    Attributes:
        queries: int64 ``[B]``.
        positives: int64 ``[B]``.
        negatives: int64 ``[B, N]``; N may be 0.
        in_batch: which of the batch's other documents are negatives as well.
    """

    queries: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    in_batch: InBatch = "none"

    def without_negatives(self, queries: TrainingQueries) -> bool:
        """Whether no query has a negative: none is drawn, and each excludes all of the batch's documents, so that nothing is learnt."""
        if self.negatives.shape[1]:
            return False
        documents = np.unique(self.positives)
        return self.in_batch == "none" or all(np.isin(documents, queries.excluded[query]).all() for query in self.queries.tolist())


class Batches:
    """Draws the batches of a run.

    Queries come in an order that is shuffled again for each pass over them; of several positives one is drawn each time.
    """

    def __init__(self, queries: TrainingQueries, negatives: NegativeSchedule, settings: TrainingSettings) -> None:
        self.queries = queries
        self.negatives = negatives
        self.settings = settings

    def of_step(self, step: int) -> list[Batch]:
        """The batches whose gradients make one optimiser step."""
        settings = self.settings
        generator = np.random.default_rng([settings.seed, _DRAWS, step])
        size = settings.batch_size
        first = step * settings.accumulation * size
        source = self.negatives.at(step)
        return [self._batch(self._order(first + i * size, size), source, generator) for i in range(settings.accumulation)]

    def _order(self, first: int, size: int) -> np.ndarray:
        """Queries at places ``first`` … of an endless sequence of passes."""
        places = np.arange(first, first + size)
        passes, within = np.divmod(places, len(self.queries))
        orders = {
            one: np.random.default_rng([self.settings.seed, _ORDER, one]).permutation(len(self.queries)) for one in set(passes.tolist())
        }
        return np.array([orders[one][place] for one, place in zip(passes.tolist(), within, strict=True)], dtype=np.int64)

    def _batch(self, queries: np.ndarray, source: NegativeSource, generator: np.random.Generator) -> Batch:
        positives = np.array([generator.choice(self.queries.positives[query]) for query in queries], dtype=np.int64)
        negatives = source.draw(queries, self.settings.negatives, generator)
        return Batch(queries=queries, positives=positives, negatives=negatives, in_batch=source.in_batch)

    def dropout_seed(self, step: int, rank: int) -> int:
        """What seeds torch for a step in a process."""
        return int(np.random.default_rng([self.settings.seed, _DROPOUT, step, *([rank] if rank else [])]).integers(2**63))
