"""Some rows of a store, as a store: those added to an index since a Faiss file was built."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ance_ir.indexes.store.vectors import VectorStore


class StoreRows:
    """The vectors of given rows, read when needed; has all that searching needs of a ``VectorStore``.

    Args:
        store: holds them.
        rows: int64, ascending; row ``i`` here is ``rows[i]`` of the store.
    """

    def __init__(self, store: VectorStore, rows: np.ndarray) -> None:
        self.dimension = store.dimension
        self.dtype = store.dtype
        self.largest_norm = store.largest_norm
        self.folder = store.folder
        self._store = store
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and vectors of consecutive blocks; see ``VectorStore.blocks``."""
        for first in range(0, len(self), rows):
            yield first, self._store.get(self._rows[first : first + rows])

    def get(self, rows: np.ndarray) -> np.ndarray:
        """Vectors of the given rows; see ``VectorStore.get``."""
        return self._store.get(self._rows[rows])
