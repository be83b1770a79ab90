"""Exact search: blocked matrix products over the vectors on disk, within a memory budget.

Shapes: Q queries, N rows of a block, D dimensions, K hits.
"""

from __future__ import annotations

import numpy as np
import torch

from ance_ir.indexes.search import TieOrder, noise, order_hits, settled_scores
from ance_ir.indexes.vectors import VectorStore

MEMORY_BUDGET = 512 << 20
QUERY_BLOCK = 1024


class ExactSearcher:
    """Searches every vector; scores accumulate in float32.

    Args:
        store: the vectors.
        tie_order: orders rows with equal scores.
        memory_budget: bytes that a search may take beside its result.
        device: where the products are computed.
    """

    def __init__(
        self,
        store: VectorStore,
        tie_order: TieOrder,
        *,
        searchable: np.ndarray | None = None,
        memory_budget: int = MEMORY_BUDGET,
        device: str | torch.device = "cpu",
    ) -> None:
        self.searchable = searchable
        self.store = store
        self.tie_order = tie_order
        self.memory_budget = memory_budget
        self.device = torch.device(device)

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``min(k, vectors)`` rows of each query; see ``Searcher.search``."""
        queries_QD = np.ascontiguousarray(queries_QD, dtype=np.float32)
        k = min(k, len(self.store) if self.searchable is None else int(self.searchable.sum()))
        scores_QK = np.empty((len(queries_QD), k), dtype=np.float32)
        rows_QK = np.empty((len(queries_QD), k), dtype=np.int64)
        for start in range(0, len(queries_QD) if k else 0, QUERY_BLOCK):
            part = slice(start, start + QUERY_BLOCK)
            scores_QK[part], rows_QK[part] = self._search_block(queries_QD[part], k)
        return scores_QK, rows_QK

    def _search_block(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        on_device_QD = torch.from_numpy(queries_QD).to(self.device)
        best_scores = np.empty((len(queries_QD), 0), dtype=np.float32)
        best_rows = np.empty((len(queries_QD), 0), dtype=np.int64)
        rows_of_block = max(1024, self.memory_budget // (8 * (2 * self.store.dimension + 2 * len(queries_QD))))
        for first, vectors in self.store.blocks(rows_of_block):
            block_ND = torch.from_numpy(vectors.astype(np.float32)).to(self.device)
            products_QN = on_device_QD @ block_ND.T
            if self.searchable is not None:
                products_QN[:, ~torch.from_numpy(self.searchable[first : first + len(vectors)])] = -torch.inf
            scores, rows = self._best_of_block(products_QN, queries_QD, first, k)
            scores = np.concatenate([best_scores, scores], axis=1)
            rows = np.concatenate([best_rows, rows], axis=1)
            scores, rows = order_hits(self.store, queries_QD, scores, rows, self.tie_order)
            best_scores, best_rows = scores[:, :k], rows[:, :k]
        return best_scores, best_rows

    def _best_of_block(self, scores_QN: torch.Tensor, queries_QD: np.ndarray, first: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The block's best k, where the scores around the cut are settled and the ties there broken."""
        values, places = torch.topk(scores_QN, min(k + 1, scores_QN.shape[1]), dim=1)
        scores, rows = values.cpu().numpy()[:, :k].copy(), places.cpu().numpy()[:, :k] + first
        if values.shape[1] <= k:
            return scores, rows
        noise_Q = noise(self.store, queries_QD)
        crowded = np.flatnonzero((values[:, k - 1] - values[:, k]).cpu().numpy() <= noise_Q)
        for query in crowded:
            within = scores_QN[query] >= float(values[query, k - 1] - noise_Q[query])
            candidates = np.flatnonzero(within.cpu().numpy()) + first
            settled = settled_scores(self.store, queries_QD, np.full(len(candidates), query), candidates)
            chosen = np.lexsort((self.tie_order(candidates), -settled))[:k]
            scores[query], rows[query] = settled[chosen], candidates[chosen]
        return scores, rows
