"""Aggregation: a document's score from the scores of its passages.

Shapes: Q queries, D dimensions, N documents to score, P passages of all of them together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ance_ir.errors import UsageError
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.ragged import owners_of, places_of, rows_of, starts_of

_PASSAGES = 1 << 20
"""Passages whose scores are held together (more only where one document has more)."""

_NUMBERS = 1 << 18
"""Numbers of their vectors that are held together; they fit into a processor's cache, which is three times as fast as main memory."""


@dataclass(frozen=True)
class Max:
    """The best passage (MaxP): a document is relevant if a part of it is."""

    def combine(self, scores: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Documents' scores, float64 ``[N]``, of passages' scores, float64 ``[P]``; document i has ``counts[i]`` from ``begins[i]`` on."""
        best: np.ndarray = np.maximum.reduceat(scores, begins)
        return best

    def __str__(self) -> str:
        return "max"


@dataclass(frozen=True)
class First:
    """The first passage alone (FirstP, from an index of all passages)."""

    def combine(self, scores: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``Max.combine``."""
        first: np.ndarray = scores[begins]
        return first

    def __str__(self) -> str:
        return "first"


@dataclass(frozen=True)
class Mean:
    """The mean over all passages: a document is relevant if all of it is."""

    def combine(self, scores: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``Max.combine``."""
        mean: np.ndarray = np.add.reduceat(scores, begins) / counts
        return mean

    def bound(self, scores: np.ndarray, most: int) -> np.ndarray:
        """The highest possible score of a document with at most ``most`` passages, none of which scores above ``scores``; elementwise."""
        return scores

    def __str__(self) -> str:
        return "mean"


@dataclass(frozen=True)
class SumOfBest:
    """The sum over the best ``count`` passages, or over all if there are fewer: several relevant parts count for more.

    Raises:
        UsageError: ``count`` is less than 1.
    """

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"sum:N needs an N of at least 1, not {self.count}")

    def combine(self, scores: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``Max.combine``."""
        order = np.lexsort((-scores, owners_of(counts)))
        chosen = order[places_of(counts) < self.count]
        summed = np.minimum(counts, self.count)
        total: np.ndarray = np.add.reduceat(scores[chosen], starts_of(summed))
        return total

    def bound(self, scores: np.ndarray, most: int) -> np.ndarray:
        """See ``Mean.bound``. Negative scores: the sum has at least one of them; others: at most ``count``."""
        return np.where(scores > 0, min(self.count, most) * scores, scores)

    def __str__(self) -> str:
        return f"sum:{self.count}"


Aggregation = Max | First | Mean | SumOfBest
"""How a document is scored by its passages."""

MAX = Max()


def parse_aggregation(text: str) -> Aggregation:
    """An aggregation from its text form: ``max``, ``first``, ``mean``, ``sum:3``.

    Raises:
        UsageError: it is none of these.
    """
    name = text.strip().lower()
    if match := re.fullmatch(r"sum:(\d{1,9})", name):
        return SumOfBest(int(match[1]))
    for aggregation in (Max(), First(), Mean()):
        if str(aggregation) == name:
            return aggregation
    raise UsageError(f"unknown aggregation {text!r}. Known: max, mean, first, sum:N (the N best passages)")


def score_pairs(
    store: VectorStore, queries_QD: np.ndarray, query: np.ndarray, first_rows: np.ndarray, counts: np.ndarray, aggregation: Aggregation
) -> np.ndarray:
    """Exact scores of pairs of a query and a document: products and aggregation in float64, rounded to float32 once.

    Args:
        store: the passages' vectors.
        queries_QD: float32 ``[Q, D]``.
        query: number of the query of each pair, int64 ``[N]``.
        first_rows: the first row of each pair's document, int64 ``[N]``.
        counts: how many rows it has, at least 1, int64 ``[N]``.
        aggregation: of the rows' scores.

    Returns:
        float32 ``[N]``.
    """
    scores = np.empty(len(counts), dtype=np.float32)
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        last = ends[start] - counts[start] + _PASSAGES
        part = slice(start, max(start + 1, int(np.searchsorted(ends, last, side="right"))))
        sizes = counts[part]
        products = _products(store, queries_QD, np.repeat(query[part], sizes), rows_of(first_rows[part], sizes))
        scores[part] = aggregation.combine(products, starts_of(sizes), sizes)
        start = part.stop
    return scores


def _products(store: VectorStore, queries_QD: np.ndarray, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Inner products of pairs, computed in float64, ``[P]``; ``query`` and ``rows``, ``[P]``, name the pairs."""
    products = np.empty(len(rows), dtype=np.float64)
    step = max(1, _NUMBERS // store.dimension)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        vectors = store.get(rows[part]).astype(np.float64)
        products[part] = np.einsum("nd,nd->n", vectors, queries_QD[query[part]].astype(np.float64))
    return products
