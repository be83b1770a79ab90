"""From passages to documents: the k best documents, exactly, from searches for passages.

A search for passages is repeated, each time twice as deep, until the passages found decide which documents are the best. The passages of a
document that was not found rank below the last one found:

- by its best passage (MaxP) the document ranks below those that were found, and these are in the order in which they were found;
- by another aggregation it scores at most the *bound* of that last score, and documents that score more are ahead of it (the threshold
  algorithm: Fagin, Lotem and Naor, 2003). Those that were found are scored exactly, with all of their passages.

Shapes: Q queries, B of a block, D dimensions, F passages found for each, K documents; n pairs of a query and a document found for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ance_ir.indexes.search.aggregation import Aggregation, First, Max, Mean, SumOfBest, score_pairs
from ance_ir.indexes.search.searcher import TieOrder, VectorSearcher, noise
from ance_ir.indexes.store.vectors import VectorStore

_RESULTS = 1 << 22
"""Passages found that are held together: the deeper a search, the fewer queries are searched together."""

_Ranking = tuple[np.ndarray, np.ndarray, np.ndarray]
"""``scores_BK``, ``documents_BK`` and whether they are final, bool ``[B]``."""


def search_documents(
    searcher: VectorSearcher,
    queries_QD: np.ndarray,
    k: int,
    offsets: np.ndarray,
    aggregation: Aggregation,
    store: VectorStore,
    tie_order: TieOrder,
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``min(k, documents)`` *documents* of each query; of those that the searcher finds, if it is not exact.

    Args:
        searcher: finds passages, all of a document or none; equal scores in the order of their documents. For ``first`` it may be
            restricted to first passages: then one search for k of them is enough.
        queries_QD: float32 ``[Q, D]``.
        k: at least 1.
        offsets: int64 ``[documents + 1]``; document i has the rows from ``offsets[i]`` up to ``offsets[i + 1]``, at least one.
        aggregation: how the passages of a document make its score.
        store: the passages' vectors.
        tie_order: the searcher's; of two documents with equal scores the one whose first row has the smaller key comes first.

    Returns:
        float32 scores and int64 document numbers, both ``[Q, min(k, documents)]``, padded with −inf and −1 where the searcher finds fewer.
    """
    k = min(k, len(offsets) - 1)
    if isinstance(aggregation, Max):
        return _search_max(searcher, queries_QD, k, offsets)
    if isinstance(aggregation, First):
        return _search_first(searcher, queries_QD, k, offsets)
    return _search_bounded(searcher, queries_QD, k, offsets, aggregation, store, tie_order)


def _search_max(searcher: VectorSearcher, queries_QD: np.ndarray, k: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By best passages: the first passage of each document in a ranking of passages."""

    def rank(queries_BD: np.ndarray, scores_BF: np.ndarray, rows_BF: np.ndarray) -> _Ranking:
        query, documents, place = _found(rows_BF, offsets)
        order = np.argsort(query * rows_BF.shape[1] + place)
        query, documents, place = query[order], documents[order], place[order]
        scores_BK, documents_BK = _best(len(queries_BD), k, query, scores_BF[query, place], documents)
        return scores_BK, documents_BK, documents_BK[:, -1] >= 0

    return _deepen(searcher, queries_QD, k, 2 * k, int(offsets[-1]), rank)


def _search_bounded(
    searcher: VectorSearcher,
    queries_QD: np.ndarray,
    k: int,
    offsets: np.ndarray,
    aggregation: Mean | SumOfBest,
    store: VectorStore,
    tie_order: TieOrder,
) -> tuple[np.ndarray, np.ndarray]:
    """By all or several passages of a document, until the others are known to score less."""
    most = int(np.diff(offsets).max(initial=1))

    def rank(queries_BD: np.ndarray, scores_BF: np.ndarray, rows_BF: np.ndarray) -> _Ranking:
        query, documents, _ = _found(rows_BF, offsets)
        first_rows = np.asarray(offsets[documents])
        scores = score_pairs(store, queries_BD, query, first_rows, offsets[documents + 1] - first_rows, aggregation)
        order = np.lexsort((tie_order(first_rows), -scores, query))
        scores_BK, documents_BK = _best(len(queries_BD), k, query[order], scores[order], documents[order])
        last_B = scores_BF.min(axis=1, initial=np.inf) + noise(store, queries_BD).astype(np.float64)
        return scores_BK, documents_BK, scores_BK[:, -1] > aggregation.bound(last_B, most).astype(np.float32)

    return _deepen(searcher, queries_QD, k, 2 * k, int(offsets[-1]), rank)


def _search_first(searcher: VectorSearcher, queries_QD: np.ndarray, k: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By first passages: their ranking is that of documents."""

    def rank(queries_BD: np.ndarray, scores_BF: np.ndarray, rows_BF: np.ndarray) -> _Ranking:
        documents_BF = np.searchsorted(offsets, rows_BF, side="right") - 1
        query, place = np.nonzero(rows_BF == offsets[documents_BF])  # padding is no document's first row
        scores_BK, documents_BK = _best(len(queries_BD), k, query, scores_BF[query, place], documents_BF[query, place])
        return scores_BK, documents_BK, documents_BK[:, -1] >= 0

    return _deepen(searcher, queries_QD, k, k, int(offsets[-1]), rank)


def _deepen(
    searcher: VectorSearcher,
    queries_QD: np.ndarray,
    k: int,
    fetch: int,
    passages: int,
    rank: Callable[[np.ndarray, np.ndarray, np.ndarray], _Ranking],
) -> tuple[np.ndarray, np.ndarray]:
    """Fetch passages, at first ``fetch`` a query, until the ranking (of queries, scores and rows) is final or no more are found."""
    scores_QK = np.full((len(queries_QD), k), -np.inf, dtype=np.float32)
    documents_QK = np.full((len(queries_QD), k), -1, dtype=np.int64)
    open_queries = np.arange(len(queries_QD) if k else 0)
    while len(open_queries):
        fetch = min(fetch, passages)
        size = max(1, _RESULTS // fetch)
        still_open = []
        for start in range(0, len(open_queries), size):
            block = open_queries[start : start + size]
            scores_BF, rows_BF = searcher.search(queries_QD[block], fetch)
            scores_QK[block], documents_QK[block], right_B = rank(queries_QD[block], scores_BF, rows_BF)
            exhausted_B = (rows_BF >= 0).sum(axis=1) < fetch
            if fetch < passages:
                still_open.append(block[~right_B & ~exhausted_B])
        open_queries = np.concatenate([np.empty(0, dtype=np.int64), *still_open])
        fetch *= 2
    return scores_QK, documents_QK


def _found(rows_BF: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a query and a document of which it found a passage, and the place of the best such passage; int64 ``[n]``."""
    fetched = rows_BF.shape[1]
    rows_BF, place_BF = np.divmod(np.sort(rows_BF * fetched + np.arange(fetched), axis=1), fetched)  # in order of rows, so of documents
    documents_BF = np.searchsorted(offsets, rows_BF, side="right") - 1
    begins_BF = np.ones(documents_BF.shape, dtype=bool)
    begins_BF[:, 1:] = documents_BF[:, 1:] != documents_BF[:, :-1]
    query, first = np.nonzero(begins_BF)
    documents, place = documents_BF[query, first], np.minimum.reduceat(place_BF.ravel(), np.flatnonzero(begins_BF))
    found = documents >= 0  # not padding
    return query[found], documents[found], place[found]


def _best(queries: int, k: int, query: np.ndarray, scores: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first k documents of each query, ``scores_BK`` and ``documents_BK``, padded; of pairs ``[n]`` in order of queries, best first."""
    scores_BK = np.full((queries, k), -np.inf, dtype=np.float32)
    documents_BK = np.full((queries, k), -1, dtype=np.int64)
    rank = np.arange(len(query)) - np.searchsorted(query, np.arange(queries))[query]
    kept = rank < k
    scores_BK[query[kept], rank[kept]] = scores[kept]
    documents_BK[query[kept], rank[kept]] = documents[kept]
    return scores_BK, documents_BK
