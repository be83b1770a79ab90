"""Rankings of a model for training queries, without the documents that are excluded for each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.training import TrainingQueries

TOP = 100
"""Depth of the ranking in which the paper's figure 7 counts training negatives."""

_BLOCK = 1024
_RESULTS = 1 << 22
"""Most queries that are searched together; most results that are held for them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Allowed:
    """Rankings of B queries.

    Attributes:
        queries: their numbers, int64 ``[B]``.
        vectors_BD: float32.
        found_BF: document numbers, best first; −1 after the last.
        scores_BF: their scores, float32; −∞ after the last.
        seconds: of encoding and searching.
    """

    queries: np.ndarray
    vectors_BD: np.ndarray
    found_BF: np.ndarray
    scores_BF: np.ndarray
    seconds: float


def first_allowed(index: AnceIndex, model: DenseEncoder, queries: TrainingQueries, asked: np.ndarray, count: int) -> Iterator[Allowed]:
    """At least the first ``count`` allowed documents of each query's ranking, if there are so many, in blocks of queries.

    Args:
        index: of the whole corpus; its numbers are the store's.
        model: encodes the queries.
        queries: the training queries.
        asked: numbers of the queries to search with, int64; blocks have them in another order.
        count: see above.
    """
    excluded = np.array([len(queries.excluded[query]) for query in asked])
    asked = asked[np.argsort(excluded, kind="stable")]  # so that queries that exclude many make only their own block search deeper
    searcher = index.searcher(device=str(model.device))
    start = 0
    while start < len(asked):
        size = min(_BLOCK, len(asked) - start)
        while size > 1 and size * (count + len(queries.excluded[asked[start + size - 1]])) > _RESULTS:
            size //= 2
        block = asked[start : start + size]
        began = time.perf_counter()
        vectors_BD = model.encode_queries([queries.texts[query] for query in block])
        scores_BF, found_BF = index.search_vectors(vectors_BD, count + len(queries.excluded[block[-1]]), searcher)
        seconds = time.perf_counter() - began
        allowed_BF = np.stack([(row >= 0) & ~np.isin(row, queries.excluded[query]) for query, row in zip(block, found_BF, strict=True)])
        found_BF, scores_BF = compact(found_BF, scores_BF, allowed_BF)
        yield Allowed(queries=block, vectors_BD=vectors_BD, found_BF=found_BF, scores_BF=scores_BF, seconds=seconds)
        start += size


def compact(found_BK: np.ndarray, scores_BK: np.ndarray, kept_BK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move kept candidates to the front, in order; −1 and −∞ follow."""
    order = np.argsort(~kept_BK, axis=1, kind="stable")
    kept_BK = np.take_along_axis(kept_BK, order, axis=1)
    found_BK = np.where(kept_BK, np.take_along_axis(found_BK, order, axis=1), -1)
    return found_BK, np.where(kept_BK, np.take_along_axis(scores_BK, order, axis=1), -np.inf)
