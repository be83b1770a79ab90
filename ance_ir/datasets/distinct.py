"""Documents of a stream in which the same one may come many times, as in training files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from ance_ir.datasets.screening import Document
from ance_ir.datasets.store.docnos import hash_text

_BATCH = 4096


class _Seen:
    """A growing set of 64-bit numbers in sorted arrays whose sizes double: 8 bytes each, and as much again while two are joined."""

    def __init__(self) -> None:
        self._runs: list[npt.NDArray[np.uint64]] = []

    def add(self, numbers_N: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Add N numbers; whether each was new, ``[N]``. Of equal ones among them the first is."""
        new_N = np.zeros(len(numbers_N), dtype=bool)
        new_N[np.unique(numbers_N, return_index=True)[1]] = True
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, numbers_N), len(run) - 1)
            new_N &= run[places] != numbers_N
        added = np.sort(numbers_N[new_N])
        while self._runs and len(self._runs[-1]) <= len(added):
            added = np.sort(np.concatenate([self._runs.pop(), added]))
        if len(added):
            self._runs.append(added)
        return new_N


def distinct(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, the first of each docno alone. Memory: 16 bytes a document."""
    seen, stream = _Seen(), iter(documents)
    while batch := list(islice(stream, _BATCH)):
        hashes = np.array([hash_text(document["docno"]) for document in batch], dtype=np.uint64)
        for document, new in zip(batch, seen.add(hashes).tolist(), strict=True):
            if new:
                yield document
