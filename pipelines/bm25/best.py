"""The best documents of queries, in the one order of results, from an engine that orders equal ones as it likes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ance_ir.pipelines.bm25.engine import Found


def best_documents(search: Callable[[np.ndarray, int], Found], queries: int, num_results: int, tie_order: np.ndarray) -> Found:
    """The first documents of each query; where there may be more with the last one's score, the engine is asked for more.

    Args:
        search: gives the best k documents of some queries, which it is told by their rows, in any order; its rows count among these.
        queries: how many there are.
        num_results: documents a query, at most.
        tie_order: each document's place among those with its score, int64 ``[documents]``.
    """
    parts = []
    pending, documents = np.arange(queries), len(tie_order)
    k = min(num_results + 1, documents)
    while len(pending):
        found = search(pending, k)
        order = np.lexsort((-found.scores, found.rows))
        row, number, score = pending[found.rows[order]], found.numbers[order], found.scores[order]
        place = places(row)
        cutoff = np.full(queries, np.nan, dtype=np.float32)
        last = cutoff.copy()
        cutoff[row[place == num_results - 1]] = score[place == num_results - 1]
        last[row[place == k - 1]] = score[place == k - 1]
        tied = (cutoff == last) & (k < documents)  # there may be more documents with this score
        parts.append([column[~tied[row]] for column in (row, number, score)])
        pending = np.flatnonzero(tied)
        k = min(4 * k, documents)
    row, number, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((tie_order[number], -score, row))
    row, number, score = row[order], number[order], score[order]
    kept = places(row) < num_results
    return Found(row[kept], number[kept], score[kept])


def places(rows: np.ndarray) -> np.ndarray:
    """The place of each among those of the same row, from 0; equal rows lie together, in ascending order."""
    return np.arange(len(rows)) - np.searchsorted(rows, rows)
