"""Measuring one way of searching.

Shapes: Q queries, D dimensions, K documents.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from ance_ir.indexes import AnceIndex
from ance_ir.indexes.search.searcher import VectorSearcher

_PAIRS = 1 << 16
"""Pairs of a query and a document that are scored at once."""

_LEAST = 10
"""Searches for single queries that are measured, however long they take."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Times of searches: milliseconds of single ones, median and 99th percentile, and queries a second of one for all."""

    median_ms: float
    p99_ms: float
    queries_per_second: float


class Reference:
    """The exact first k, with which others are compared.

    Args:
        index: what is searched.
        queries_QD: float32 ``[Q, D]``.
        k: documents a query.
        exact: finds the exact ones.
    """

    def __init__(self, index: AnceIndex, queries_QD: np.ndarray, k: int, exact: VectorSearcher) -> None:
        self._index = index
        self._queries_QD = queries_QD
        self._exact_QK = index.search_vectors(queries_QD, k, exact)[1]
        self._last_Q = index.document_scores(queries_QD, self._exact_QK[:, -1])

    def recall(self, found_QK: np.ndarray) -> float:
        """Share of the exact first k in document numbers int64 ``[Q, K]``; those that score as much as the last of them are as good."""
        known = np.stack([np.isin(found, exact) for found, exact in zip(found_QK, self._exact_QK, strict=True)])
        query, place = np.nonzero((found_QK >= 0) & ~known)
        hits = int(known.sum())
        for start in range(0, len(query), _PAIRS):
            some, numbers = query[start : start + _PAIRS], found_QK[query, place][start : start + _PAIRS]
            hits += int((self._index.document_scores(self._queries_QD[some], numbers) >= self._last_Q[some]).sum())
        return hits / self._exact_QK.size


def timed(
    index: AnceIndex, queries_QD: np.ndarray, k: int, searcher: VectorSearcher, rounds: int, seconds: float = math.inf
) -> tuple[np.ndarray, Timing]:
    """Search for all queries, then again, then for each alone, some rounds long; the first search does not count.

    Searches for queries alone end after so many seconds, when ten were made or more.

    Returns:
        Document numbers, int64 ``[Q, K]``, and the times; of a query alone the median of the rounds.
    """
    found_QK = index.search_vectors(queries_QD, k, searcher)[1]
    began = time.perf_counter()
    index.search_vectors(queries_QD, k, searcher)
    together = time.perf_counter() - began
    alone_RQ = np.full((rounds, len(queries_QD)), np.nan)
    until = time.perf_counter() + seconds
    for made, place in enumerate(np.ndindex(alone_RQ.shape)):
        began = time.perf_counter()
        if began > until and made >= _LEAST:
            break
        index.search_vectors(queries_QD[place[1] : place[1] + 1], k, searcher)
        alone_RQ[place] = 1000 * (time.perf_counter() - began)
    alone_Q = np.nanmedian(alone_RQ[:, ~np.isnan(alone_RQ[0])], axis=0)
    return found_QK, Timing(
        median_ms=float(np.median(alone_Q)),
        p99_ms=float(np.quantile(alone_Q, 0.99)),
        queries_per_second=len(queries_QD) / together,
    )
