"""From passages to documents: a document scores as its best passage (MaxP)."""

from __future__ import annotations

import numpy as np

from ance_ir.indexes.search import Searcher


def search_documents(searcher: Searcher, queries_QD: np.ndarray, k: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best ``min(k, documents)`` *documents* of each query.

    As many passages are fetched as it takes: the first passage of each document in a ranking of passages that holds k documents is its
    best one, so these k documents are the right ones.

    Args:
        searcher: finds passages; equal scores in the order of their documents.
        queries_QD: float32 ``[Q, D]``.
        k: at least 1.
        offsets: int64 ``[documents + 1]``; document i has the rows from ``offsets[i]`` up to ``offsets[i + 1]``.

    Returns:
        float32 scores and int64 document numbers, both ``[Q, min(k, documents)]``, padded with −inf and −1.
    """
    k = min(k, len(offsets) - 1)
    scores_QK = np.full((len(queries_QD), k), -np.inf, dtype=np.float32)
    documents_QK = np.full((len(queries_QD), k), -1, dtype=np.int64)
    open_queries = np.arange(len(queries_QD))
    passages = int(offsets[-1])
    fetch = min(passages, 2 * k)
    while k and len(open_queries):
        scores, rows = searcher.search(queries_QD[open_queries], fetch)
        still_open = []
        for query, query_scores, query_rows in zip(open_queries, scores, rows, strict=True):
            found = query_rows >= 0
            documents = np.searchsorted(offsets, query_rows[found], side="right") - 1
            first = np.sort(np.unique(documents, return_index=True)[1])[:k]
            if len(first) < k and fetch < passages and found.all():
                still_open.append(query)
                continue
            scores_QK[query, : len(first)] = query_scores[found][first]
            documents_QK[query, : len(first)] = documents[first]
        open_queries = np.array(still_open, dtype=np.int64)
        fetch = min(passages, 2 * fetch)
    return scores_QK, documents_QK
