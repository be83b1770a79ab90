"""Negatives drawn from a ranking: a run's, or that of a system."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.datasets import DocumentStore
from ance_ir.datasets.ids import clean_ids
from ance_ir.digests import digest_bytes
from ance_ir.errors import TrainingError, UsageError
from ance_ir.notices import examples
from ance_ir.training.negatives.named.random import RandomNegatives
from ance_ir.training.negatives.source import NegativeSource, choose
from ance_ir.training.queries import TrainingQueries

logger = logging.getLogger(__name__)


class CandidateNegatives(NegativeSource):
    """Uniform draws from a list of candidates for each query; a query without any draws from all documents that may be drawn.

    Args:
        queries: the training queries.
        candidates: for each query document numbers, int64, best first; what may not be drawn is taken out here.
        name: what the source is called.
        depth: how many of those that are left are drawn from.
    """

    def __init__(self, queries: TrainingQueries, candidates: Sequence[np.ndarray], name: str, depth: int) -> None:
        if depth < 1:
            raise UsageError(f"negatives are drawn from at least 1 document, not {depth}")
        self.name = name
        self.candidates = [
            found[queries.allows(query, found)][:depth] for query, found in zip(range(len(queries)), candidates, strict=True)
        ]
        if queries.candidates is not None:
            self._warn_of_restriction(queries, candidates)
        self.depth = depth
        self._random = RandomNegatives(queries)
        empty = [qid for qid, found in zip(queries.qids, self.candidates, strict=True) if not len(found)]
        if empty:
            message = "%s: %d of %d training queries have no candidates (%s); their negatives are drawn from %s"
            logger.warning(message, name, len(empty), len(queries), examples(empty), queries.drawn_else)

    def _warn_of_restriction(self, queries: TrainingQueries, candidates: Sequence[np.ndarray]) -> None:
        left = [found[~np.isin(found, excluded)] for found, excluded in zip(candidates, queries.excluded, strict=True)]
        total, lost = sum(map(len, left)), sum(int((~queries.allows(query, found)).sum()) for query, found in enumerate(left))
        if lost:
            logger.warning("%s: %d of %d candidates have no score of the teacher and are not drawn", self.name, lost, total)

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The depth, and a hash of the candidates: another run, or a rebuilt index, is another source."""
        parts = (len(found).to_bytes(8, "little") + np.ascontiguousarray(found, dtype=np.int64).tobytes() for found in self.candidates)
        return {"depth": self.depth, "candidates": digest_bytes(parts)}

    @classmethod
    def from_run(cls, queries: TrainingQueries, run: pd.DataFrame, store: DocumentStore, *, depth: int, name: str) -> CandidateNegatives:
        """Candidates are each query's first results in a run (``qid``, ``docno``, ``rank`` from 0).

        Raises:
            TrainingError: the run has none of the queries, or documents that the corpus does not hold.
        """
        return cls(queries, candidates_of_run(queries, run, store, name), name, depth)

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


def candidates_of_run(queries: TrainingQueries, run: pd.DataFrame, store: DocumentStore, name: str) -> list[np.ndarray]:
    """For each query the numbers of its results in a run, int64, best first.

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
    return [by_query.get(qid, nothing) for qid in queries.qids]
