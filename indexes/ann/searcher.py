"""Searching with a Faiss index, in the order that every search of this package has.

Shapes: Q queries, D dimensions, K hits, F rows fetched from Faiss.
"""

from __future__ import annotations

from typing import Any, cast

import faiss
import numpy as np

from ance_ir.errors import DamagedIndexError
from ance_ir.indexes.ann.build import FaissFile
from ance_ir.indexes.ann.layers import layers, structure_of
from ance_ir.indexes.ann.parts._part import Request
from ance_ir.indexes.ann.settings import FaissSettings
from ance_ir.indexes.ann.tail import StoreRows
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.search.searcher import TieOrder, noise, order_hits, settled_scores, usable_queries
from ance_ir.indexes.store.vectors import VectorStore

QUERY_BLOCK = 1024

_NOTHING = np.finfo(np.float32).min
"""Faiss's score of padding; finite, so that differences of scores are numbers."""

_GPU_MOST = 2048
"""Faiss finds no more rows than this on a GPU."""


class FaissSearcher:
    """Searches with a Faiss index whose ids are the store's rows; rows that were added later are searched exactly.

    Where the family is lossless or the first rows are scored again, scores are inner products of the vectors, and ties are settled as
    everywhere; otherwise scores are Faiss's own.

    Args:
        file: the Faiss index.
        store: the vectors, of which the file holds the first rows.
        tie_order: orders rows with equal scores.
        settings: how to search.
        searchable: bool ``[len(store)]``, the rows that may be found; all by default.
    """

    def __init__(
        self,
        file: FaissFile,
        store: VectorStore,
        tie_order: TieOrder,
        settings: FaissSettings,
        searchable: np.ndarray | None = None,
    ) -> None:
        self.file = file
        self.store = store
        self.tie_order = tie_order
        self.settings = settings
        self._count = len(store) if searchable is None else int(searchable.sum())
        self._covered = None if searchable is None else searchable[: file.rows]
        self._selector = None if self._covered is None else _Selector(self._covered)
        self._selects = self._selector is not None and self._can_select()
        later = np.arange(file.rows, len(store)) if searchable is None else file.rows + np.flatnonzero(searchable[file.rows :])
        self._later = later
        tail = cast("VectorStore", StoreRows(store, later))
        self._tail = ExactSearcher(tail, lambda rows: tie_order(later[rows])) if len(later) else None

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``min(k, searchable rows)`` rows of each query, as far as they are found; see ``VectorSearcher.search``.

        Raises:
            UsageError: see ``usable_queries``.
        """
        queries_QD = usable_queries(self.store, queries_QD)
        k = min(k, self._count)
        scores_QK = np.full((len(queries_QD), k), -np.inf, dtype=np.float32)
        rows_QK = np.full((len(queries_QD), k), -1, dtype=np.int64)
        for start in range(0, len(queries_QD) if k else 0, QUERY_BLOCK):
            part = slice(start, start + QUERY_BLOCK)
            scores, rows = self._search_block(queries_QD[part], k)
            found = rows >= 0
            scores_QK[part, : rows.shape[1]][found], rows_QK[part, : rows.shape[1]][found] = scores[found], rows[found]
        return scores_QK, rows_QK

    def _search_block(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """At most k hits; −1 and a very small number after the last."""
        rescored = self.settings.rescored(k)
        if self._tail is not None and not self.settings.lossless:
            rescored = max(rescored, k)  # added rows have exact scores, which only exact scores are compared with
        if rescored:
            scores, rows = self._fetch(queries_QD, min(rescored, self.file.rows))
            query, place = np.nonzero(rows >= 0)
            scores[query, place] = settled_scores(self.store, queries_QD, query, rows[query, place])
        elif self.settings.lossless:
            scores, rows = self._fetch_to_a_gap(queries_QD, k)
        else:
            scores, rows = self._fetch(queries_QD, min(k, self.file.rows))
        if self._tail is not None:
            tail_scores, tail_rows = self._tail.search(queries_QD, k)
            scores, rows = np.concatenate([scores, tail_scores], axis=1), np.concatenate([rows, self._later[tail_rows]], axis=1)
        if rescored or self.settings.lossless:
            scores, rows = order_hits(self.store, queries_QD, scores, rows, self.tie_order)
        else:
            order = np.lexsort((self.tie_order(np.maximum(rows, 0).ravel()).reshape(rows.shape), -scores), axis=1)
            scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
        return scores[:, :k], rows[:, :k]

    def _fetch_to_a_gap(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """At least k rows; where the cut-off falls among almost equal scores, more for that query, until they end."""
        fetched = min(k + 1, self.file.rows)
        scores_QF, rows_QF = self._fetch(queries_QD, fetched)
        noise_Q = noise(self.store, queries_QD)
        crowded = np.arange(len(queries_QD))
        while fetched < self.file.rows:
            close = scores_QF[crowded, k - 1] - scores_QF[crowded, -1] <= noise_Q[crowded]
            crowded = crowded[close & (rows_QF[crowded, -1] >= 0)]
            if not len(crowded):
                break
            wider = min(2 * fetched, self.file.rows)
            scores_QF = np.pad(scores_QF, ((0, 0), (0, wider - fetched)), constant_values=_NOTHING)
            rows_QF = np.pad(rows_QF, ((0, 0), (0, wider - fetched)), constant_values=-1)
            scores_QF[crowded], rows_QF[crowded] = self._fetch(queries_QD[crowded], wider)
            fetched = wider
        return scores_QF, rows_QF

    def _fetch(self, queries_QD: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first searchable rows that Faiss finds, ``[Q, count]``, best first."""
        if self._covered is None or self._selects:
            return self._ask(queries_QD, count)
        wanted = min(count, int(self._covered.sum()))
        fetched = count
        while True:  # the family cannot leave rows out: more are fetched until enough of them are searchable
            scores, rows = self._ask(queries_QD, fetched)
            kept = (rows >= 0) & self._covered[rows]
            if fetched == self.file.rows or ((kept.sum(axis=1) >= wanted) | (rows[:, -1] < 0)).all():
                break
            fetched = min(2 * fetched, self.file.rows)
        order = np.argsort(~kept, axis=1, kind="stable")[:, :count]
        kept, scores, rows = (np.take_along_axis(values, order, 1) for values in (kept, scores, rows))
        return np.where(kept, scores, _NOTHING), np.where(kept, rows, -1)

    def _ask(self, queries_QD: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        index = self.file.on_gpu if self.file.on_gpu is not None and count <= _GPU_MOST else self.file.index
        try:
            found: tuple[np.ndarray, np.ndarray] = index.search(queries_QD, count, params=self._parameters(self.file.index, count))
        except RuntimeError as error:
            raise DamagedIndexError(
                f"Faiss cannot search its index ({error}); remove the folder of its files and build it again"
            ) from error
        if (found[1] >= self.file.rows).any():
            raise DamagedIndexError("Faiss found vectors that its index does not hold; remove the folder of its files and build it again")
        return found

    def _parameters(self, index: Any, count: int) -> Any:
        """Faiss's search parameters for so many rows, layer by layer; ``None`` where the defaults do."""
        layer = next(layers(index))
        selecting = {"sel": self._selector.selector} if self._selector is not None and self._selects else {}
        if hasattr(layer, "chain"):
            return faiss.SearchParametersPreTransform(index_params=self._parameters(layer.index, count))
        if hasattr(layer, "base_index"):
            return faiss.IndexRefineSearchParameters(base_index_params=self._parameters(layer.base_index, count), k_factor=layer.k_factor)
        if structure := structure_of(layer):
            share = self._selector.share if self._selector is not None and self._selects else 1.0
            options = self.settings.options
            request = Request(count=count, rows=self.file.rows, share=share, selecting=selecting, options=options)
            return structure.search(layer, request)
        return faiss.SearchParameters(**selecting) if selecting else None

    def _can_select(self) -> bool:
        """Whether Faiss leaves rows out itself; it cannot on a GPU, nor for every family."""
        if self.file.on_gpu is not None or any(isinstance(layer, faiss.IndexIVFAdditiveQuantizer) for layer in layers(self.file.index)):
            return False  # additive quantisers cannot
        self._selects = True
        try:
            self._ask(np.zeros((1, self.store.dimension), dtype=np.float32), 1)
        except DamagedIndexError:
            return False
        return True


class _Selector:
    """Faiss's selector of the rows that may be found; it keeps alive the bits that Faiss reads."""

    def __init__(self, searchable: np.ndarray) -> None:
        self.share = float(searchable.mean()) if len(searchable) else 0.0
        self._bits = np.packbits(searchable, bitorder="little")
        self.selector = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))
