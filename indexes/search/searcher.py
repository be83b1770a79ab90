"""What all searchers share: their protocol, the order of hits, and how almost equal scores are settled.

A matrix product rounds differently with the number of queries and the place of a vector, so equal vectors may get scores that differ in
the last bits. Scores closer than that noise are therefore computed again, one inner product at a time in float64, which depends on
nothing but the two vectors; hits that are equal then are ordered by docno. So a query's ranking does not depend on the batch, as far as the
noise, which is measured on a sample of the hits, is like that of the others.

Shapes: Q queries, D dimensions, K hits, S hits of a query that are tried, n pairs of a query and a hit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ance_ir.errors import DamagedIndexError, UsageError
from ance_ir.indexes.store.vectors import VectorStore

TieOrder = Callable[[np.ndarray], np.ndarray]
"""From rows, int64 ``[n]``, to sort keys, int64 ``[n]``: of two rows with equal scores the one with the smaller key comes first."""

_CHUNK = 1 << 17
"""Numbers of the vectors that are settled together: with float64 copies they fit into a core's cache."""
_TRIED = 32
_MARGIN = 4
_LEAST = 2.0**-22


class VectorSearcher(Protocol):
    """Finds the vectors with the largest inner products.

    Attributes:
        store: the vectors.
    """

    store: VectorStore

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``K = min(k, vectors)`` rows of each query, best first.

        Args:
            queries_QD: float32 ``[Q, D]``.
            k: at least 1.

        Returns:
            float32 scores ``[Q, K]`` and int64 rows ``[Q, K]``; a search that finds fewer pads with −inf and −1.
        """
        ...


def noise(store: VectorStore, queries_QD: np.ndarray) -> np.ndarray:
    """Scores closer than this, float32 ``[Q]``, may stand in either order after a float32 matrix product, whichever computed it."""
    bound_Q: np.ndarray = 2.0**-22 * np.sqrt(store.dimension) * largest_scores(store, queries_QD)
    return bound_Q.astype(np.float32)


def measured_noise(store: VectorStore, queries_QD: np.ndarray, scores_QK: np.ndarray, rows_QK: np.ndarray) -> np.ndarray:
    """What ``noise`` bounds, as it shows in hits that were found: mostly far less.

    Some hits of each query, at even distances in its ranking, are computed in float64. Four times the largest error is taken, and never
    less than what rounding a score to float32 may bring.
    """
    tried_S = np.linspace(0, rows_QK.shape[1] - 1, max(4, _TRIED // len(rows_QK))).astype(np.int64)
    query_n = np.repeat(np.arange(len(rows_QK)), len(tried_S))
    rows_n, scores_n = rows_QK[:, tried_S].reshape(-1), scores_QK[:, tried_S].reshape(-1)
    found_n = rows_n >= 0
    query_n, rows_n, scores_n = query_n[found_n], rows_n[found_n], scores_n[found_n]
    errors_n = np.abs(settled_scores(store, queries_QD, query_n, rows_n) - scores_n)
    largest_Q = largest_scores(store, queries_QD)
    relative = float((errors_n / np.maximum(largest_Q, np.finfo(np.float32).tiny)[query_n]).max(initial=0))
    noise_Q: np.ndarray = np.minimum(noise(store, queries_QD), max(_MARGIN * relative, _LEAST) * largest_Q)
    return noise_Q.astype(np.float32)


def largest_scores(store: VectorStore, queries_QD: np.ndarray) -> np.ndarray:
    """What no score of a query exceeds, float64 ``[Q]``."""
    squares_Q = np.empty(len(queries_QD))
    step = max(1, _CHUNK // store.dimension)
    for start in range(0, len(queries_QD), step):
        part_QD = queries_QD[start : start + step].astype(np.float64)
        squares_Q[start : start + step] = np.vecdot(part_QD, part_QD)
    largest_Q: np.ndarray = store.largest_norm * np.sqrt(squares_Q)
    return largest_Q


def usable_queries(store: VectorStore, queries_QD: np.ndarray) -> np.ndarray:
    """The queries, float32 ``[Q, D]`` and contiguous.

    Raises:
        UsageError: a query has values that are not finite, or so large that its scores might not be.
    """
    queries_QD = np.ascontiguousarray(queries_QD, dtype=np.float32)
    refused = np.flatnonzero(~(largest_scores(store, queries_QD) <= np.finfo(np.float32).max))
    if len(refused):
        raise UsageError(f"query vector {refused[0]} has values that are not finite, or too large for float32 scores")
    return queries_QD


def check_hits(store: VectorStore, scores_QK: np.ndarray, k: int) -> None:
    """Refuse what search for k rows cannot bring where all vectors are finite.

    Raises:
        DamagedIndexError: says how to find the file.
    """
    if scores_QK.shape[1] < k or not np.isfinite(scores_QK).all():
        raise DamagedIndexError(f"{store.folder}: vectors that are not finite; `ance-ir index verify` names altered files")


def settled_scores(store: VectorStore, queries_QD: np.ndarray, query_n: np.ndarray, rows_n: np.ndarray) -> np.ndarray:
    """Scores of pairs of a query and a row, both int64 ``[n]``, computed in float64 and rounded to float32, ``[n]``."""
    scores_n = np.empty(len(rows_n), dtype=np.float32)
    step = max(1, _CHUNK // store.dimension)
    for start in range(0, len(rows_n), step):
        part = slice(start, start + step)
        scores_n[part] = np.vecdot(store.get(rows_n[part]).astype(np.float64), queries_QD[query_n[part]].astype(np.float64))
    return scores_n


def order_hits(
    store: VectorStore, queries_QD: np.ndarray, scores_QK: np.ndarray, rows_QK: np.ndarray, tie_order: TieOrder
) -> tuple[np.ndarray, np.ndarray]:
    """Sort hits, best first; settle scores that are closer than the noise; order ties.

    Rows of −1 are padding and come last.
    """
    order = np.argsort(-scores_QK, axis=1)
    scores_QK, rows_QK = np.take_along_axis(scores_QK, order, 1), np.take_along_axis(rows_QK, order, 1)
    settle_order(store, queries_QD, scores_QK, rows_QK, tie_order)
    return scores_QK, rows_QK


def settle_order(store: VectorStore, queries_QD: np.ndarray, scores_QK: np.ndarray, rows_QK: np.ndarray, tie_order: TieOrder) -> None:
    """In hits that are sorted, settle scores that are closer than the noise, and order ties, in place."""
    if rows_QK.size == 0:
        return
    close = _close(scores_QK, rows_QK, noise(store, queries_QD))
    if np.count_nonzero(close) > _TRIED:
        close = _close(scores_QK, rows_QK, measured_noise(store, queries_QD, scores_QK, rows_QK))
    if not close.any():
        return
    query_n, place_n = np.nonzero(close[:, :-1] | close[:, 1:])
    group_n = np.cumsum(~close[query_n, place_n])
    rows_n = rows_QK[query_n, place_n]
    scores_n = settled_scores(store, queries_QD, query_n, rows_n)
    order_n = np.lexsort((tie_order(rows_n), -scores_n, group_n))
    scores_QK[query_n, place_n], rows_QK[query_n, place_n] = scores_n[order_n], rows_n[order_n]


def _close(scores_QK: np.ndarray, rows_QK: np.ndarray, noise_Q: np.ndarray) -> np.ndarray:
    """Whether a hit is close to the one before it, bool ``[Q, K + 1]``; the last column ends what is close."""
    close = np.zeros((len(rows_QK), rows_QK.shape[1] + 1), dtype=bool)
    with np.errstate(invalid="ignore"):  # among padding
        close[:, 1:-1] = (scores_QK[:, :-1] - scores_QK[:, 1:] <= noise_Q[:, None]) & (rows_QK[:, 1:] >= 0)
    return close
