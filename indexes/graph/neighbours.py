"""The nearest neighbours of documents, block by block: an index is searched with its own vectors.

Shapes: N documents of a block, D dimensions, R rows of these documents, F documents found for a row, n pairs of a document and one found
for it, k neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from ance_ir.indexes.graph.unit import UnitVectors
from ance_ir.indexes.search.aggregation import MAX
from ance_ir.indexes.search.documents import search_documents
from ance_ir.indexes.search.searcher import VectorSearcher
from ance_ir.indexes.store.table import DocumentTable
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.ragged import owners_of, places_of, rows_of

MOST_NEIGHBOURS = 1000
"""The largest k: graphs of more would be larger than most indexes, and no method follows so many."""

_ROWS, _PAIRS = 1 << 14, 1 << 20
"""Rows that are searched with together, and documents found for them all; more only where one document has more rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SelfSearch:
    """Finds the neighbours of documents by cosine: of documents of several passages, by the best pair of passages.

    Equal neighbours are ordered as results are, by docno. A document is no neighbour of its own; another one with an equal vector is.

    Attributes:
        table: the documents.
        vectors: theirs.
        searcher: of these vectors.
    """

    table: DocumentTable
    vectors: UnitVectors
    searcher: VectorSearcher

    def blocks(self, k: int) -> Iterator[tuple[int, int]]:
        """The first number, and the one after the last, of the documents of each block; deleted ones are counted."""
        first, offsets, rows = 0, self.table.offsets, max(1, min(_ROWS, _PAIRS // (k + 1)))
        while first < len(self.table):
            end = first + rows
            if offsets is not None:
                end = max(first + 1, int(np.searchsorted(offsets, offsets[first] + rows, side="right")) - 1)
            yield first, min(end, len(self.table))
            first = end

    def neighbours(self, first: int, end: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest neighbours of the documents from ``first`` up to ``end`` that are not deleted.

        Returns:
            Their places, uint32 ``[N, k]``, the nearest first, and cosines, float16. Where there are fewer, the document itself follows,
            with the weight 0, as pyterrier-adaptive has it.
        """
        own_N = np.setdiff1d(np.arange(first, end), self.table.deleted, assume_unique=True)
        edges_Nk = np.repeat(place_of(self.table, own_N)[:, None], k, axis=1)
        weights_Nk = np.zeros(edges_Nk.shape, dtype=np.float16)
        firsts_N, counts_N = self.table.rows(own_N)
        scores_RF, found_RF = self._search(rows_of(firsts_N, counts_N), k + 1)  # one of which may be the document itself
        owner_n = np.repeat(owners_of(counts_N), found_RF.shape[1])
        scores_n, found_n = scores_RF.ravel(), found_RF.ravel()
        others_n = (found_n >= 0) & (found_n != own_N[owner_n])
        owner_n, found_n, scores_n = _best_pairs(owner_n[others_n], found_n[others_n], scores_RF.ravel()[others_n])
        order_n = np.lexsort((self.table.tie_order(self.table.rows(found_n)[0]), -scores_n, owner_n))
        rank_n = places_of(np.bincount(owner_n, minlength=len(own_N)))
        kept_n = rank_n < k
        owner_n, found_n, scores_n, rank_n = owner_n[order_n][kept_n], found_n[order_n][kept_n], scores_n[order_n][kept_n], rank_n[kept_n]
        edges_Nk[owner_n, rank_n], weights_Nk[owner_n, rank_n] = place_of(self.table, found_n), scores_n
        return edges_Nk.astype(np.uint32), weights_Nk

    def _search(self, rows_R: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and numbers of the best documents for each row, both ``[R, F]``, padded with −inf and −1."""
        queries_RD, offsets = self.vectors.get(rows_R), self.table.offsets
        if offsets is None or len(self.table) == len(self.vectors):  # a row is a document
            return self.searcher.search(queries_RD, count)
        store = cast("VectorStore", self.vectors)
        return search_documents(self.searcher, queries_RD, count, offsets, MAX, store, self.table.tie_order)


def place_of(table: DocumentTable, numbers: np.ndarray) -> np.ndarray:
    """The places of documents among those that are not deleted, of their numbers; both int64."""
    places: np.ndarray = numbers - np.searchsorted(table.deleted, numbers)
    return places


def number_at(table: DocumentTable, places: np.ndarray) -> np.ndarray:
    """The numbers of the documents at places among those that are not deleted, both int64."""
    places = places.astype(np.int64, copy=False)
    numbers: np.ndarray = places + np.searchsorted(table.deleted - np.arange(len(table.deleted)), places, side="right")
    return numbers


def _best_pairs(owner_n: np.ndarray, found_n: np.ndarray, scores_n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of documents once, with its best score, in the order of owners."""
    order_n = np.lexsort((-scores_n, found_n, owner_n))
    owner_n, found_n, scores_n = owner_n[order_n], found_n[order_n], scores_n[order_n]
    first_n = np.ones(len(owner_n), dtype=bool)
    first_n[1:] = (owner_n[1:] != owner_n[:-1]) | (found_n[1:] != found_n[:-1])
    return owner_n[first_n], found_n[first_n], scores_n[first_n]
