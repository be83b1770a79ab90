"""Exact search on GPUs: products, and the choice of the best rows, where the vectors are; the order of what is left on the CPU.

A device keeps the best few more than k of each query, by its own float32 products. Where the last of these is worse than the kth by more
than products may differ, every row that may be among the best k is there, and they are settled as after any other search. Where it is not,
because equal vectors crowd at the kth place, the query is searched again with many more, and in the end on the CPU. So rankings are those
of a CPU.

Shapes: Q queries, B searched together, N rows of a block, D dimensions, K hits, F rows that are kept.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ance_ir.device_memory import BatchSize
from ance_ir.indexes.search.device_vectors import DeviceVectors
from ance_ir.indexes.search.exact import MEMORY_BUDGET, ExactSearcher
from ance_ir.indexes.search.products import inner_products
from ance_ir.indexes.search.searcher import TieOrder, VectorSearcher, check_hits, noise, settle_order, usable_queries
from ance_ir.indexes.search.threads import deal, in_threads
from ance_ir.indexes.store.vectors import VectorStore

_TOGETHER = 1024
"""Most queries that are multiplied together."""

_SCORE, _KEPT = 16, 64
"""Bytes for each score of a block, with what it is made of and how it is chosen, and for each row that is kept, likewise."""

_ROWS = 1 << 20
"""Most rows of a block: for a few queries torch chooses by sorting, in twice the memory."""

_BLOCK = 16
"""The memory budget divided by this are the bytes that are sent at once; as many are pinned, twice."""

_LEAST, _LEAST_SENT = 1 << 16, 4 << 20
"""Scores of a block that are always taken, and bytes that are sent at once at least, unless that many scores need fewer."""

_SHARE = 64
"""Least queries whose hits a thread settles."""


class DeviceSearcher:
    """Searches every vector, on a GPU or on several.

    Args:
        vectors: where they are.
        tie_order: orders rows with equal scores.
        searchable: bool ``[rows]``, whether a row may be found; None where all may.
        memory_budget: bytes that a search may allocate on the host, and as many on each device, in addition to its result and to vectors
            that stay; a few MiB are always taken, and a byte for each row where some may not be found.
    """

    def __init__(
        self,
        vectors: DeviceVectors,
        tie_order: TieOrder,
        *,
        searchable: np.ndarray | None = None,
        memory_budget: int = MEMORY_BUDGET,
    ) -> None:
        self.store = vectors.store
        self.tie_order = tie_order
        self._vectors = vectors
        self._hidden = None if searchable is None else torch.from_numpy(~np.asarray(searchable))
        self._findable = len(self.store) if searchable is None else int(np.count_nonzero(searchable))
        self._memory_budget = memory_budget
        self._most = max(_LEAST, memory_budget // 2 // _SCORE)
        self._scores = vectors.sizes.setdefault(memory_budget, BatchSize(self._most, "scores"))
        self._on_cpu = ExactSearcher(self.store, tie_order, searchable=searchable, memory_budget=memory_budget)

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``min(k, rows that may be found)`` rows of each query; see ``VectorSearcher.search``.

        Raises:
            UsageError: see ``usable_queries``.
            DeviceMemoryError: a device has too little memory for a fraction of the budget.
        """
        queries_QD = usable_queries(self.store, queries_QD)
        k = min(k, self._findable)
        scores_QK = np.empty((len(queries_QD), k), dtype=np.float32)
        rows_QK = np.empty((len(queries_QD), k), dtype=np.int64)
        left = np.arange(len(queries_QD) if k else 0)
        for more in (64 + k // 8, 1024 + k):
            width = min(k + more, self._findable)
            size = max(1, self._memory_budget // 2 // (_KEPT * width))
            crowded = []
            for start in range(0, len(left), size):
                some = left[start : start + size]
                scores_QK[some], rows_QK[some], clear_B = self._ranked(queries_QD[some], k, width)
                crowded.append(some[~clear_B])
            left = np.concatenate(crowded) if crowded else left
        if len(left):
            scores_QK[left], rows_QK[left] = self._on_cpu.search(queries_QD[left], k)
        return scores_QK, rows_QK

    def _ranked(self, queries_BD: np.ndarray, k: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The best k of ``width`` rows that are kept for each query, and whether no other may be among them, bool ``[B]``."""
        scores_BF, rows_BF = self._scores.run(partial(self._best, queries_BD, width))
        check_hits(self.store, scores_BF, width)
        cuts_B = np.nextafter(scores_BF[:, k - 1] - noise(self.store, queries_BD), np.float32(-np.inf))
        clear_B = (scores_BF[:, -1] < cuts_B) | (width == self._findable)
        most = max(k, int(np.count_nonzero(scores_BF >= cuts_B[:, None], axis=1).max()))
        scores_BF, rows_BF = scores_BF[:, :most], rows_BF[:, :most]

        def settle(part: slice) -> None:
            settle_order(self.store, queries_BD[part], scores_BF[part], rows_BF[part], self.tie_order)

        shares = max(1, min(torch.get_num_threads(), len(queries_BD) // _SHARE))
        in_threads([partial(settle, part) for part in deal(0, len(queries_BD), shares)])
        return scores_BF[:, :k], rows_BF[:, :k], clear_B

    def _best(self, queries_BD: np.ndarray, width: int, scores: int) -> tuple[np.ndarray, np.ndarray]:
        """The best rows of each query by a device's products, sorted, ``[B, F]``; with so many scores of a block at most."""
        together = min(len(queries_BD), _TOGETHER)
        rows = min(_ROWS, self._most // together)
        if not self._vectors.resident:
            row = self.store.dimension * self.store.dtype.itemsize
            rows = min(rows, max(min(_LEAST // together, _LEAST_SENT // row), self._memory_budget // _BLOCK // row))
        rows = max(1, rows * scores // self._most)  # whatever bounds them, smaller after a device ran out of memory
        tops = []
        for device, blocks in self._vectors.parts(rows):
            tops.append(top := _Top(queries_BD, width, device))
            hidden = None if self._hidden is None else self._hidden.to(device)
            for first, block_ND in blocks:
                top.add(block_ND, first, None if hidden is None else hidden[first : first + len(block_ND)], together)
        scores_BF = torch.cat([top.scores_BF.to(self._vectors.device) for top in tops], dim=1)
        rows_BF = torch.cat([top.rows_BF.to(self._vectors.device) for top in tops], dim=1)
        scores_BF, rows_BF = _chosen(scores_BF, rows_BF, width)
        return scores_BF.cpu().numpy(), rows_BF.cpu().numpy()


class _Top:
    """The best rows so far, on one device."""

    def __init__(self, queries_BD: np.ndarray, width: int, device: torch.device) -> None:
        self._queries_BD = torch.from_numpy(queries_BD).to(device)
        self.scores_BF = torch.full((len(queries_BD), width), -torch.inf, device=device)
        self.rows_BF = torch.full((len(queries_BD), width), -1, dtype=torch.int64, device=device)

    def add(self, block_ND: Tensor, first: int, hidden_N: Tensor | None, together: int) -> None:
        """Take in a block, whose first row is given, for so many queries at a time."""
        width = self.scores_BF.shape[1]
        for start in range(0, len(self.scores_BF), together):
            part = slice(start, start + together)
            scores_QN = inner_products(self._queries_BD[part], block_ND)
            if hidden_N is not None:
                scores_QN.masked_fill_(hidden_N, -torch.inf)
            best = torch.topk(scores_QN, min(width, scores_QN.shape[1]), dim=1, sorted=False)
            scores_QF = torch.cat([self.scores_BF[part], best.values], dim=1)
            rows_QF = torch.cat([self.rows_BF[part], best.indices + first], dim=1)
            self.scores_BF[part], self.rows_BF[part] = _chosen(scores_QF, rows_QF, width, sorted=False)


def _chosen(scores_QN: Tensor, rows_QN: Tensor, count: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    best = torch.topk(scores_QN, count, dim=1, sorted=sorted)
    return best.values, rows_QN.gather(1, best.indices)


def exact_searcher(
    store: VectorStore,
    tie_order: TieOrder,
    *,
    device: str | torch.device = "cpu",
    held: dict[str, DeviceVectors] | None = None,
    searchable: np.ndarray | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> VectorSearcher:
    """A searcher of every vector, on any device.

    Args:
        store: the vectors.
        tie_order: orders rows with equal scores.
        device: see ``DeviceVectors``.
        held: the store's vectors on devices, for its next searchers; those of this device are added.
        searchable: see ``ExactSearcher``.
        memory_budget: likewise.
    """
    if torch.device(device).type == "cpu":
        return ExactSearcher(store, tie_order, searchable=searchable, memory_budget=memory_budget)
    held = {} if held is None else held
    if str(device) not in held:
        held[str(device)] = DeviceVectors(store, device)
    return DeviceSearcher(held[str(device)], tie_order, searchable=searchable, memory_budget=memory_budget)
