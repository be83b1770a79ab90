"""The vectors of a store at length 1: their inner products are cosines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ance_ir.indexes.store.vectors import VectorStore


class UnitVectors:
    """The vectors of a store, divided by their lengths when they are read; has all that searching needs of a ``VectorStore``.

    Args:
        store: holds the vectors; one of length 0 stays as it is.
    """

    def __init__(self, store: VectorStore) -> None:
        self.dimension = store.dimension
        self.dtype = np.dtype(np.float32)
        self.largest_norm = 1 + 2.0**-20  # as float32 rounds it
        self.folder = store.folder
        self.shards = store.shards
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def blocks(self, rows: int, first: int = 0, end: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """First row and vectors of consecutive blocks; see ``VectorStore.blocks``."""
        for start, vectors in self._store.blocks(rows, first, end):
            yield start, _at_length_1(vectors)

    def get(self, rows: np.ndarray) -> np.ndarray:
        """Vectors of the given rows; see ``VectorStore.get``."""
        return _at_length_1(self._store.get(rows))


def _at_length_1(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32, copy=False)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return unit
