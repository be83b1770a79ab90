"""Rankings for training queries, without the documents that are excluded for each.

Shapes: B queries of a block, F documents found for each, R positives of all of them, K candidates.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ance_ir.errors import TrainingError
from ance_ir.indexes.search.aggregation import MAX, Aggregation, First
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.ragged import owners_of
from ance_ir.training import TrainingQueries

TOP = 100
"""Depth of the ranking in which the paper's figure 7 counts training negatives."""

_RESULTS = 1 << 22
_MEMORY = 1 << 30
"""Most results that are held for queries that are searched together, and the memory budget of exact search, which then reads the vectors
only once for them: at depth 200 for 20,000 queries."""

_PAIRS = 1 << 16
"""Pairs of a query and a positive that are scored together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Allowed:
    """Rankings of B queries.

    Attributes:
        queries: their numbers, int64 ``[B]``.
        found_BF: document numbers, best first; −1 after the last.
        scores_BF: their scores, float32; −∞ after the last.
        positive_R: the scores of the queries' positives, one query after the other, float32; NaN for those that have none.
        excluded: how many documents were taken out of the rankings, down to the depth that was asked for.
        seconds: of encoding and searching.
    """

    queries: np.ndarray
    found_BF: np.ndarray
    scores_BF: np.ndarray
    positive_R: np.ndarray
    excluded: int
    seconds: float


class QueryVectors(Protocol):
    """What is needed of the encoder of queries."""

    @property
    def device(self) -> torch.device:
        """Where to search."""

    def encode_queries(self, texts: Sequence[str], /) -> np.ndarray:
        """Their vectors, float32 ``[len(texts), D]``."""


class Ranker(Protocol):
    """Ranks documents for training queries."""

    def allowed(self, asked: np.ndarray, count: int) -> Iterator[Allowed]:
        """At least the first ``count`` allowed documents of each query's ranking, if there are so many, in blocks of queries.

        Args:
            asked: numbers of the queries to search with, int64; blocks may have them in another order.
            count: see above.
        """


class DenseRanker:
    """The rankings of an index.

    Args:
        index: what is searched.
        model: encodes the queries.
        queries: the training queries.
        backend: see ``SearchableIndex.searcher``.
        aggregation: how the passages of a document make its score.
        numbers: for each document of the index its number in the corpus, int64, −1 for those that the corpus does not hold; ``None``: they
            are the same.
        places: for each document of the corpus its number in the index, int64, −1 for those that the index does not hold; likewise.
    """

    def __init__(
        self,
        index: SearchableIndex,
        model: QueryVectors,
        queries: TrainingQueries,
        *,
        backend: str = "exact",
        aggregation: Aggregation = MAX,
        numbers: np.ndarray | None = None,
        places: np.ndarray | None = None,
    ) -> None:
        self._index = index
        self._model = model
        self._queries = queries
        self._aggregation = aggregation
        self._numbers = numbers
        self._places = places
        first_passages = isinstance(aggregation, First)
        self._searcher = index.searcher(backend, first_passages=first_passages, memory_budget=_MEMORY, device=str(model.device))

    def allowed(self, asked: np.ndarray, count: int) -> Iterator[Allowed]:
        """See ``Ranker``.

        Raises:
            TrainingError: a document was found that the corpus does not hold.
        """
        queries = self._queries
        depths = count + np.array([len(queries.excluded[query]) for query in asked])
        order = np.argsort(depths, kind="stable")
        asked, depths = asked[order], depths[order]
        start = 0
        while start < len(asked):
            end = int(np.searchsorted(depths, 2 * depths[start], side="right"))  # no query is searched twice as deep as it need be
            end = min(end, start + max(1, _RESULTS // int(depths[end - 1])))
            block, depth = asked[start:end], int(depths[end - 1])
            began = time.perf_counter()
            vectors_BD = self._model.encode_queries([queries.texts[query] for query in block])
            scores_BF, found_BF = self._index.search_vectors(vectors_BD, depth, self._searcher, self._aggregation)
            seconds = time.perf_counter() - began
            found_BF = self._of_corpus(found_BF)
            found_BF, scores_BF, taken = without_excluded(queries, block, found_BF, scores_BF, count)
            positive_R = self._positives(vectors_BD, block)
            yield Allowed(queries=block, found_BF=found_BF, scores_BF=scores_BF, positive_R=positive_R, excluded=taken, seconds=seconds)
            start = end

    def _of_corpus(self, found_BF: np.ndarray) -> np.ndarray:
        """The numbers in the corpus of documents of the index."""
        if self._numbers is None:
            return found_BF
        numbers_BF = np.where(found_BF < 0, -1, self._numbers[found_BF])
        if (unknown := found_BF[(found_BF >= 0) & (numbers_BF < 0)]).size:
            raise not_in_corpus(str(self._index.folder), self._index.docnos(unknown[:1])[0])
        return numbers_BF

    def _positives(self, vectors_BD: np.ndarray, block: np.ndarray) -> np.ndarray:
        counts, documents = positives_of(self._queries, block)
        owners = owners_of(counts)
        if self._places is not None:
            documents = self._places[documents]
        scores = np.full(len(documents), np.nan, dtype=np.float32)
        known = np.flatnonzero(documents >= 0)
        for start in range(0, len(known), _PAIRS):
            part = known[start : start + _PAIRS]
            scores[part] = self._index.document_scores(vectors_BD[owners[part]], documents[part], self._aggregation)
        return scores


def not_in_corpus(system: str, docno: str) -> TrainingError:
    """The error for a document that a system finds and the corpus does not hold."""
    return TrainingError(f"{system} finds documents that the corpus does not hold, e.g. {docno!r}; it was made of another corpus")


def positives_of(queries: TrainingQueries, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many positives each query of a block has, int64 ``[B]``, and their numbers, one query after the other, int64 ``[R]``."""
    counts = np.array([len(queries.positives[query]) for query in block], dtype=np.int64)
    return counts, np.concatenate([queries.positives[query] for query in block])


def without_excluded(
    queries: TrainingQueries, block: np.ndarray, found_BF: np.ndarray, scores_BF: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Rankings without the documents that are excluded for each query, and how many stood before its first ``count`` others.

    Args:
        queries: the training queries.
        block: numbers of the queries, int64 ``[B]``.
        found_BF: document numbers, best first; −1 after the last.
        scores_BF: their scores.
        count: see above.
    """
    rows = owners_of(np.array([len(queries.excluded[query]) for query in block], dtype=np.int64))
    taken = rows * queries.documents + np.concatenate([queries.excluded[query] for query in block])
    there_BF = found_BF >= 0
    keys_BF = np.arange(len(block))[:, None] * queries.documents + found_BF
    allowed_BF = there_BF & ~np.isin(keys_BF, taken)
    before_BF = np.cumsum(allowed_BF, axis=1) < count
    return *compact(found_BF, scores_BF, allowed_BF), int((there_BF & ~allowed_BF & before_BF).sum())


def compact(found_BK: np.ndarray, scores_BK: np.ndarray, kept_BK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move kept candidates to the front, in order; −1 and −∞ follow."""
    rows, columns = np.nonzero(kept_BK)
    places = (np.cumsum(kept_BK, axis=1) - 1)[rows, columns]
    moved_BK, moved_scores_BK = np.full_like(found_BK, -1), np.full_like(scores_BK, -np.inf)
    moved_BK[rows, places], moved_scores_BK[rows, places] = found_BK[rows, columns], scores_BK[rows, columns]
    return moved_BK, moved_scores_BK
