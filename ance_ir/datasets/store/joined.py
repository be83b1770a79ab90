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
        place = int(self._places(np.array([number]))[0])
        return self._stores[place][number - int(self.firsts[place])]

    def docnos(self, numbers: npt.ArrayLike) -> npt.NDArray[Any]:
        """The docnos of an array of numbers: an object array of str, of the same shape; IndexError below 0 and from N."""
        wanted = np.asarray(numbers, dtype=np.int64)
        places = self._places(wanted)
        found = np.empty(wanted.shape, dtype=object)
        for place in np.unique(places).tolist():
            found[places == place] = self._stores[place].docnos(wanted[places == place] - self.firsts[place])
        return found

    def _places(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Which store holds each document."""
        outside = numbers[(numbers < 0) | (numbers >= len(self))]
        if len(outside):
            raise IndexError(f"document number {outside[0]} is not in 0 ... {len(self) - 1}")
        return np.searchsorted(self._ends, numbers, "right")
