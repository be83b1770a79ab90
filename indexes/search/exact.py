"""Exact search on a CPU: blocked matrix products over the vectors on disk, within a memory budget.

Shapes: Q queries, N rows of a block, D dimensions, K hits, F hits before the last are cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from ance_ir.indexes.search.products import as_tensor, inner_products
from ance_ir.indexes.search.searcher import TieOrder, check_hits, noise, settle_order, settled_scores, usable_queries
from ance_ir.indexes.search.threads import deal, in_threads
from ance_ir.indexes.search.top import RunningTop, Settle, held_rows, least_room
from ance_ir.indexes.store.vectors import VectorStore

MEMORY_BUDGET = 512 << 20

_PART = (256, 1024)
"""Most queries that are multiplied together, where many hits are asked for, and where few are: a product rearranges the block's vectors,
which takes as long for any number of queries."""
_HITS = 1 << 17
"""Hits of the queries that are multiplied together; for more, their places no longer stay in a CPU's cache."""
_ROWS = (256, 16_384)
"""Least and most rows of a block, where there are several queries."""
_SCORES = 1 << 21
"""Scores of a block: as many as stay in a CPU's cache."""
_LONG = 4096
"""Rows of a block that many queries may have though their scores do not stay there: shorter products are slower."""
_CONVERTED = 16 << 20
"""Bytes of a block that is converted to float32; they stay in the cache too."""
_SHARE = 64
"""Least queries whose scores a thread compares."""
_HELD, _WORKED = 12, 70
"""Bytes for each place of a query in ``RunningTop``, and for each place of those multiplied together, while scores are compared.
Half the memory budget is for places, the other half for a block."""


class ExactSearcher:
    """Searches every vector; scores accumulate in float32.

    Args:
        store: the vectors.
        tie_order: orders rows with equal scores.
        searchable: bool ``[rows]``, whether a row may be found; None where all may.
        memory_budget: bytes that a search may allocate in addition to its result; a few MiB are always taken. Pages of the vectors'
            files that the system caches, and drops when memory is short, are not counted.
    """

    def __init__(
        self,
        store: VectorStore,
        tie_order: TieOrder,
        *,
        searchable: np.ndarray | None = None,
        memory_budget: int = MEMORY_BUDGET,
    ) -> None:
        self.store = store
        self.tie_order = tie_order
        self.searchable = searchable
        self.memory_budget = memory_budget
        self._findable = len(store) if searchable is None else int(np.count_nonzero(searchable))

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``min(k, rows that may be found)`` rows of each query; see ``VectorSearcher.search``.

        Raises:
            UsageError: see ``usable_queries``.
        """
        queries_QD = usable_queries(self.store, queries_QD)
        noise_Q = noise(self.store, queries_QD)
        k = min(k, self._findable)
        scores_QK = np.empty((len(queries_QD), k), dtype=np.float32)
        rows_QK = np.empty((len(queries_QD), k), dtype=np.int64)
        if not k:
            return scores_QK, rows_QK
        step = self._queries_at_once(k)
        done = 0
        for start in range(0, len(queries_QD), step):
            for scores, rows in self._search_together(queries_QD[start : start + step], noise_Q[start : start + step], k):
                part = slice(done, done + len(scores))
                check_hits(self.store, scores, k)
                scores_QK[part], rows_QK[part] = scores, rows
                done = part.stop
        return scores_QK, rows_QK

    def _search_together(self, queries_QD: np.ndarray, noise_Q: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Hits of consecutive parts of the queries; every block is read once, and multiplied with each part."""
        together = min(len(queries_QD), _together(k))
        parts = [slice(start, min(start + together, len(queries_QD))) for start in range(0, len(queries_QD), together)]
        size = min(self._rows_of_block(len(queries_QD), together), len(self.store))
        room = min(size, max(least_room(k), self.memory_budget // 2 // (_HELD * len(queries_QD)) - held_rows(k)))
        shares = [self._shares(part) for part in parts]
        tops = {
            share.start: RunningTop(k, room, noise_Q[share], self._settle(queries_QD[share], k)) for of_part in shares for share in of_part
        }
        asked_QD = as_tensor(queries_QD)
        for first, vectors in self.store.blocks(size):
            rows: int | np.ndarray = first
            found_N = None if self.searchable is None else np.asarray(self.searchable[first : first + len(vectors)])
            if found_N is not None and 2 * np.count_nonzero(found_N) < len(found_N):
                rows, vectors, found_N = first + np.flatnonzero(found_N), vectors[found_N], None
            if not len(vectors):
                continue
            block_ND = as_tensor(vectors).float()
            for part, of_part in zip(parts, shares, strict=True):
                scores_QN = inner_products(asked_QD[part], block_ND)
                if found_N is not None:
                    scores_QN[:, torch.from_numpy(~found_N)] = -torch.inf
                each = zip(of_part, scores_QN.split([share.stop - share.start for share in of_part]), strict=True)
                in_threads([partial(tops[share.start].add, scores_RN, rows) for share, scores_RN in each])
        for of_part in shares:
            yield from in_threads([partial(self._hits, queries_QD[share], tops[share.start], k) for share in of_part])

    def _shares(self, part: slice) -> list[slice]:
        """The queries of a part, dealt to the threads that compare their scores."""
        return deal(part.start, part.stop, max(1, min(torch.get_num_threads(), (part.stop - part.start) // _SHARE)))

    def _hits(self, queries_QD: np.ndarray, top: RunningTop, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best k of some queries, once all blocks have gone by."""
        scores_QF, rows_QF = top.hits()
        settle_order(self.store, queries_QD, scores_QF, rows_QF, self.tie_order)
        return scores_QF[:, :k], rows_QF[:, :k]

    def _queries_at_once(self, k: int) -> int:
        """Queries that are searched while the vectors are read once."""
        half, held, worked = self.memory_budget // 2, _HELD * (held_rows(k) + least_room(k)), _WORKED * held_rows(k)
        return max(1, half // (held + worked), (half - worked * _together(k)) // held)

    def _rows_of_block(self, queries: int, together: int) -> int:
        """Rows of a block, where ``together`` of the queries are multiplied at a time.

        Stored float32 vectors are not copied.
        """
        least, most = _ROWS
        copied = 8 * self.store.dimension
        if self.store.dtype != np.float32:
            most = min(most, _CONVERTED // (4 * self.store.dimension))
        elif queries == 1:
            most, copied = len(self.store), 0
        fit = self.memory_budget // 2 // (_WORKED * together + copied)
        return max(least, min(most, max(_LONG, _SCORES // together), fit))

    def _settle(self, queries_QD: np.ndarray, k: int) -> Settle:
        def settle(query: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            scores = settled_scores(self.store, queries_QD, np.full(len(rows), query), rows)
            best = np.lexsort((self.tie_order(rows), -scores))[:k]
            return scores[best], rows[best]

        return settle


def _together(k: int) -> int:
    """Most queries that are multiplied together where k hits are asked for."""
    return max(_PART[0], min(_PART[1], _HITS // k))
