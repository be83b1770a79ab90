"""Where negatives come from: what a source is, and the sources that need no index.

Drawing depends on nothing but the generator that is handed in, so the same seed and step give the same negatives.
"""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from ance_ir.datasets import DocumentStore
from ance_ir.datasets.ids import clean_ids
from ance_ir.errors import TrainingError, UsageError
from ance_ir.notices import examples
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.refresh.mined import MinedNegatives

logger = logging.getLogger(__name__)


InBatch = Literal["none", "all", "hardest"]
"""Which documents of a batch, beside a query's own, are its negatives too: none, all (DPR), or the one that scores highest (NCE)."""


class NegativeSchedule(ABC):
    """Says from which source each step draws its negatives.

    Attributes:
        name: what it is called.
    """

    name: str

    @property
    def settings(self) -> Mapping[str, Any]:
        """What else decides which negatives are drawn; part of the run's manifest."""
        return {}

    @abstractmethod
    def at(self, step: int) -> NegativeSource:
        """The source that a step draws from."""

    def use(self, mined: MinedNegatives) -> None:  # noqa: B027 (most draw no mined ones)
        """Draw from these from now on, where mined ones are drawn."""


class NegativeSource(NegativeSchedule):
    """Gives negatives for training queries, never one of a query's excluded documents; the same at every step.

    Attributes:
        in_batch: which of a batch's documents are negatives beside those that are drawn.
        draws: whether any are drawn; else those of the batch are all there are.
        mines: whether it draws from what a refresh mined, and needs one first.
    """

    in_batch: InBatch = "none"
    draws = True
    mines = False

    def at(self, step: int) -> NegativeSource:
        """Itself."""
        return self

    @abstractmethod
    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """Negatives of queries.

        Args:
            queries: their numbers, int64 ``[B]``.
            count: how many for each; of one query they differ, as long as one source has so many.
            generator: the only source of randomness.

        Returns:
            Document numbers, int64 ``[B, count]``.
        """


class RandomNegatives(NegativeSource):
    """Uniform draws from the whole corpus.

    Raises:
        TrainingError: a query excludes every document.
    """

    name = "random"

    def __init__(self, queries: TrainingQueries) -> None:
        self._queries = queries
        for qid, excluded in zip(queries.qids, queries.excluded, strict=True):
            if len(excluded) >= queries.documents:
                raise TrainingError(
                    f"query {qid!r}: all {queries.documents} documents of the corpus are relevant, none is left as a negative"
                )

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """See ``NegativeSource.draw``."""
        return np.stack([self._draw(self._queries.excluded[query], count, generator) for query in queries])

    def _draw(self, excluded: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        # a draw from the documents that are not excluded, as if they were numbered without gaps
        free = self._queries.documents - len(excluded)
        drawn = choose(free, count, generator)
        gaps = excluded - np.arange(len(excluded))
        return drawn + np.searchsorted(gaps, drawn, side="right")


class CandidateNegatives(NegativeSource):
    """Uniform draws from a list of candidates for each query; a query without any draws from the whole corpus.

    Args:
        queries: the training queries.
        candidates: for each query document numbers, int64, best first; excluded ones are taken out here.
        name: what the source is called.
        depth: how many of those that are left are drawn from.
    """

    def __init__(self, queries: TrainingQueries, candidates: Sequence[np.ndarray], name: str, depth: int) -> None:
        if depth < 1:
            raise UsageError(f"negatives are drawn from at least 1 document, not {depth}")
        self.name = name
        self.candidates = [found[~np.isin(found, excluded)][:depth] for found, excluded in zip(candidates, queries.excluded, strict=True)]
        self.depth = depth
        self._random = RandomNegatives(queries)
        empty = [qid for qid, found in zip(queries.qids, self.candidates, strict=True) if not len(found)]
        if empty:
            told = "%s: %d of %d training queries have no candidates (%s); their negatives are drawn from the whole corpus"
            logger.warning(told, name, len(empty), len(queries), examples(empty))

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The depth, and a hash of the candidates: another run, or an index built anew, is another source."""
        digest = hashlib.blake2b(digest_size=16)
        for found in self.candidates:
            digest.update(len(found).to_bytes(8, "little") + np.ascontiguousarray(found, dtype=np.int64).tobytes())
        return {"depth": self.depth, "candidates": digest.hexdigest()}

    @classmethod
    def from_run(cls, queries: TrainingQueries, run: pd.DataFrame, store: DocumentStore, *, depth: int, name: str) -> CandidateNegatives:
        """Candidates are each query's first results in a run (``qid``, ``docno``, ``rank`` from 0).

        Raises:
            TrainingError: the run has none of the queries, or documents that the corpus does not hold.
        """
        run = clean_ids(run, ("qid", "docno"), f"the run {name}", error=TrainingError)
        run = run[run["qid"].isin(set(queries.qids))].sort_values("rank", kind="stable")
        if run.empty:
            raise TrainingError(f"the run {name} has results for none of the {len(queries)} training queries")
        numbers = store.numbers(list(run["docno"]))
        if (numbers < 0).any():
            raise TrainingError(
                f"the run {name} has documents that the corpus does not hold, e.g. {run['docno'].iloc[int(np.argmin(numbers))]!r}"
            )
        by_query = {qid: numbers[places] for qid, places in run.groupby("qid").indices.items()}
        nothing = np.zeros(0, dtype=np.int64)
        return cls(queries, [by_query.get(qid, nothing) for qid in queries.qids], name, depth)

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """See ``NegativeSource.draw``."""
        drawn = []
        for query in queries:
            found = self.candidates[query]
            if len(found):
                drawn.append(found[choose(len(found), count, generator)])
            else:
                drawn.append(self._random.draw(np.array([query]), count, generator)[0])
        return np.stack(drawn)


def choose(total: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` of the numbers below ``total``, different ones as long as there are so many."""
    if count <= total:
        return generator.choice(total, size=count, replace=False, shuffle=True)
    return generator.integers(total, size=count)
