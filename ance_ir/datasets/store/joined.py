"""Documents of several corpora under one numbering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ance_ir.datasets.screening import Document
from ance_ir.datasets.store.documents import DocumentStore


class NumberedDocuments(Protocol):
    """N documents, numbered from 0: those of a store, or of several."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Document:
        """The document of that number; IndexError below 0 and from N."""
        ...

    def docnos(self, numbers: npt.ArrayLike) -> npt.NDArray[Any]:
        """The docnos of an array of numbers: an object array of str, of the same shape; IndexError below 0 and from N."""
        ...


class JoinedDocuments:
    """The documents of several stores, numbered one store after the other. Docnos may be the same in two of them.

    Args:
        stores: at least one.

    Attributes:
        firsts: the number of each store's first document, int64.
    """

    def __init__(self, stores: Sequence[DocumentStore]) -> None:
        self._stores = stores
        self._ends = np.cumsum([len(store) for store in stores])
        self.firsts = self._ends - [len(store) for store in stores]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> Document:
        """The document of that number; IndexError below 0 and from N."""
        store, within = self._place(number)
        return store[within]

    def docnos(self, numbers: npt.ArrayLike) -> npt.NDArray[Any]:
        """The docnos of an array of numbers: an object array of str, of the same shape; IndexError below 0 and from N."""
        wanted = np.asarray(numbers, dtype=np.int64)
        found = np.empty(wanted.size, dtype=object)
        for row, number in enumerate(wanted.ravel().tolist()):
            store, within = self._place(number)
            found[row] = store.docnos(within).item()
        return found.reshape(wanted.shape)

    def _place(self, number: int) -> tuple[DocumentStore, int]:
        if not 0 <= number < len(self):
            raise IndexError(f"document number {number} is not in 0 ... {len(self) - 1}")
        which = int(np.searchsorted(self._ends, number, "right"))
        return self._stores[which], number - int(self.firsts[which])
