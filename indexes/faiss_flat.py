"""Faiss over the stored vectors."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

from ance_ir.errors import DamagedIndexError
from ance_ir.files import atomic_path
from ance_ir.indexes.search import TieOrder, noise, order_hits
from ance_ir.indexes.vectors import VectorStore

_BLOCK = 65_536


def build_flat(store: VectorStore, path: Path) -> None:
    """Write a Faiss ``IndexFlatIP`` of all vectors, whole or not at all."""
    index = faiss.IndexFlatIP(store.dimension)
    for _, vectors in store.blocks(_BLOCK):
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    with atomic_path(path) as temporary:
        faiss.write_index(index, str(temporary))


class FaissSearcher:
    """Searches with a Faiss index whose ids are the store's rows; ties are settled as everywhere.

    Args:
        path: the Faiss file.
        store: the vectors that it was built from.
        tie_order: orders rows with equal scores.
    """

    def __init__(self, path: Path, store: VectorStore, tie_order: TieOrder) -> None:
        try:
            self.index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise DamagedIndexError(f"{path}: Faiss cannot read it; build it again") from error
        if self.index.ntotal != len(store) or self.index.d != store.dimension:
            found = f"{self.index.ntotal} vectors of {self.index.d} dimensions"
            raise DamagedIndexError(f"{path}: expected {len(store)} vectors of {store.dimension} dimensions, found {found}; build it again")
        self.store = store
        self.tie_order = tie_order

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``min(k, vectors)`` rows of each query; see ``Searcher.search``."""
        queries_QD = np.ascontiguousarray(queries_QD, dtype=np.float32)
        k = min(k, len(self.store))
        fetched = min(k + 1, len(self.store))
        while True:
            scores, rows = self.index.search(queries_QD, fetched)
            # where the cut goes through almost equal scores, more of them are fetched until the run of them ends
            crowded = fetched < len(self.store) and (scores[:, k - 1] - scores[:, -1] <= noise(self.store, queries_QD)).any()
            if not crowded:
                break
            fetched = min(2 * fetched, len(self.store))
        scores, rows = order_hits(self.store, queries_QD, scores, rows, self.tie_order)
        return scores[:, :k], rows[:, :k]
