"""What every way of searching shares: the order of hits, and how ties between almost equal scores are settled.

A matrix product rounds differently with the number of queries and the place of a vector, so equal vectors may get scores that differ in
the last bits. Scores closer than that noise are therefore computed once more, one inner product at a time in float64, which depends on
nothing but the two vectors; hits that are equal then are ordered by docno. The same question gets the same ranking, however it is asked.

Shapes: Q queries, D dimensions, K hits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ance_ir.indexes.vectors import VectorStore

TieOrder = Callable[[np.ndarray], np.ndarray]
"""From rows, int64 ``[n]``, to sort keys, int64 ``[n]``: of two rows with equal scores the one with the smaller key comes first."""


class Searcher(Protocol):
    """Finds the vectors with the largest inner products."""

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
    """Scores closer than this, float32 ``[Q]``, may stand in either order after a float32 matrix product."""
    norms_Q = np.linalg.norm(queries_QD, axis=1)
    bound_Q: np.ndarray = (2.0**-22 * np.sqrt(store.dimension) * store.largest_norm * norms_Q).astype(np.float32)
    return bound_Q


def settled_scores(store: VectorStore, queries_QD: np.ndarray, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Scores of pairs, computed in float64 and rounded to float32, ``[n]``; ``query`` and ``rows``, ``[n]``, name the pairs."""
    scores = np.empty(len(rows), dtype=np.float32)
    step = max(1, (16 << 20) // store.dimension)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        vectors = store.get(rows[part]).astype(np.float64)
        scores[part] = np.einsum("nd,nd->n", vectors, queries_QD[query[part]].astype(np.float64))
    return scores


def order_hits(
    store: VectorStore, queries_QD: np.ndarray, scores_QK: np.ndarray, rows_QK: np.ndarray, tie_order: TieOrder
) -> tuple[np.ndarray, np.ndarray]:
    """Sort hits, best first; settle scores that are closer than the noise; order ties.

    Rows of −1 are padding and come last.
    """
    order = np.argsort(-scores_QK, axis=1, kind="stable")
    scores_QK, rows_QK = np.take_along_axis(scores_QK, order, 1), np.take_along_axis(rows_QK, order, 1)
    close = (scores_QK[:, :-1] - scores_QK[:, 1:] <= noise(store, queries_QD)[:, None]) & (rows_QK[:, 1:] >= 0)
    if not close.any():
        return scores_QK, rows_QK
    near = np.zeros(scores_QK.shape, dtype=bool)
    near[:, :-1] |= close
    near[:, 1:] |= close
    query, place = np.nonzero(near)
    scores_QK[query, place] = settled_scores(store, queries_QD, query, rows_QK[query, place])
    ties = np.full(rows_QK.shape, np.iinfo(np.int64).max)
    ties[query, place] = tie_order(rows_QK[query, place])
    changed = np.unique(query)
    order = np.lexsort((ties[changed], -scores_QK[changed]), axis=1)
    scores_QK[changed] = np.take_along_axis(scores_QK[changed], order, 1)
    rows_QK[changed] = np.take_along_axis(rows_QK[changed], order, 1)
    return scores_QK, rows_QK
