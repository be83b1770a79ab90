"""The batches of a step: a function of the seed and the step alone, so that a resumed run needs no random state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ance_ir.training.negatives.source import InBatch, NegativeSchedule, NegativeSource
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run.settings import TrainingSettings

_ORDER, _DRAWS, _DROPOUT, _SETS, _ROUNDING = range(5)
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

    Queries come in an order that is shuffled again for each pass over them; of several positives one is drawn each time. Of several
    training sets one is drawn for each batch, by weight, and all of its queries come from that set.
    """

    def __init__(self, queries: TrainingQueries, negatives: NegativeSchedule, settings: TrainingSettings) -> None:
        self.queries = queries
        self.negatives = negatives
        self.settings = settings
        self._set_of = self._drawn_sets() if queries.sets else None
        self._orders: dict[int, tuple[int, np.ndarray]] = {}
        """Of each set the pass that a batch last came from, and its order."""

    def _drawn_sets(self) -> tuple[np.ndarray, np.ndarray]:
        """The set of each batch of the run, and how many batches of that set come before it."""
        weights = np.array([one.weight for one in self.queries.sets])
        total = self.settings.steps * self.settings.accumulation
        drawn = np.random.default_rng([self.settings.seed, _SETS]).choice(len(weights), size=total, p=weights / weights.sum())
        earlier = np.zeros(total, dtype=np.int64)
        for one in range(len(weights)):
            earlier[drawn == one] = np.arange((drawn == one).sum())
        return drawn, earlier

    def of_step(self, step: int) -> list[Batch]:
        """The batches whose gradients make one optimiser step."""
        settings = self.settings
        generator = np.random.default_rng([settings.seed, _DRAWS, step])
        source = self.negatives.at(step)
        numbers = range(step * settings.accumulation, (step + 1) * settings.accumulation)
        return [self._batch(self._queries(number), source, generator) for number in numbers]

    def _queries(self, batch: int) -> np.ndarray:
        """The queries of a batch: the next ones of its set's endless sequence of passes."""
        which, earlier = (0, batch) if self._set_of is None else (int(part[batch]) for part in self._set_of)
        own, size = self.queries.parts[which].queries, self.settings.batch_size
        places = earlier * size + np.arange(size)
        passes, within = np.divmod(places, len(own))
        return own.start + np.concatenate([self._order(which, one)[within[passes == one]] for one in np.unique(passes).tolist()])

    def _order(self, which: int, one: int) -> np.ndarray:
        """The order of a set's queries in a pass, int64; it is kept while batches come from that pass."""
        kept, order = self._orders.get(which, (None, None))
        if order is None or kept != one:
            of_set = [which] if which else []  # so that the order of a run's only set is what it was before there could be several
            generator = np.random.default_rng([self.settings.seed, _ORDER, one, *of_set])
            order = generator.permutation(len(self.queries.parts[which].queries))
            self._orders[which] = one, order
        return order

    def _batch(self, queries: np.ndarray, source: NegativeSource, generator: np.random.Generator) -> Batch:
        positives = np.array([generator.choice(self.queries.positives[query]) for query in queries], dtype=np.int64)
        negatives = source.draw(queries, self.settings.negatives, generator)
        return Batch(queries=queries, positives=positives, negatives=negatives, in_batch=source.in_batch)

    def dropout_seed(self, step: int, rank: int) -> int:
        """What seeds torch for a step in a process."""
        return int(np.random.default_rng([self.settings.seed, _DROPOUT, step, *([rank] if rank else [])]).integers(2**63))

    def rounding_seed(self, step: int) -> int:
        """What seeds the rounding of weights after a step, in every process."""
        return int(np.random.default_rng([self.settings.seed, _ROUNDING, step]).integers(2**63))
