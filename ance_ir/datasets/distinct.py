"""Documents of a stream in which the same one may come many times, as in training files."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from ance_ir.datasets.screening import Document, Unusable

logger = logging.getLogger(__name__)

_BATCH = 4096


class Numbering:
    """Numbers keys, such as docnos, from 0 in the order in which they first come. Memory: 12 bytes a key, as much again for a moment.

    Keys are told apart by 64 bits of their hashes.
    """

    def __init__(self) -> None:
        self._count = 0
        self._runs: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]] = []  # sorted hashes and their numbers; sizes double

    def add(self, keys: Sequence[Hashable]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The numbers of N keys, ``[N]``, and whether each came for the first time, ``[N]``."""
        hashes_N = np.fromiter(map(hash, keys), dtype=np.int64, count=len(keys))
        hashes_U, first_U, places_N = np.unique(hashes_N, return_index=True, return_inverse=True)
        numbers_U = np.full(len(hashes_U), -1, dtype=np.int64)
        for hashes, numbers in self._runs:
            places = np.minimum(np.searchsorted(hashes, hashes_U), len(hashes) - 1)
            known = hashes[places] == hashes_U
            numbers_U[known] = numbers[places[known]]
        new = np.flatnonzero(numbers_U < 0)
        numbers_U[new[np.argsort(first_U[new])]] = self._count + np.arange(len(new))
        self._count += len(new)
        self._keep(hashes_U[new], numbers_U[new].astype(np.uint32))
        new_N = np.zeros(len(keys), dtype=bool)
        new_N[first_U[new]] = True
        return numbers_U[places_N], new_N

    def _keep(self, hashes: npt.NDArray[np.int64], numbers: npt.NDArray[np.uint32]) -> None:
        while len(hashes) and self._runs and len(self._runs[-1][0]) <= len(hashes):
            others = self._runs.pop()
            hashes, numbers = np.concatenate([others[0], hashes]), np.concatenate([others[1], numbers])
            order = np.argsort(hashes)
            hashes, numbers = hashes[order], numbers[order]
        if len(hashes):
            self._runs.append((hashes, numbers))


class Distinct:
    """Tells what has not come before. Memory: 16 bytes a key, and as much again for a moment.

    Keys that come with several texts, told apart by 32 bits of their hashes, are counted: as ids they would stand for several documents.
    """

    def __init__(self) -> None:
        self._numbers = Numbering()
        self._texts = array("I")
        self._several = 0
        self._first: Hashable = None

    def new(self, keys: Sequence[Hashable], texts: Sequence[str]) -> list[int]:
        """The places of those of N keys that come for the first time.

        Args:
            keys: such as docnos, N.
            texts: what each stands for, N.
        """
        numbers_N, new_N = self._numbers.add(keys)
        hashes_N = np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts)).astype(np.uint32)
        self._texts.frombytes(hashes_N[new_N].tobytes())
        first_N = np.frombuffer(self._texts, dtype=np.uint32)[numbers_N] if len(keys) else hashes_N
        for place in np.flatnonzero(first_N != hashes_N).tolist():
            self._first = self._first or keys[place]
            self._several += 1
        places: list[int] = np.flatnonzero(new_N).tolist()
        return places

    def report(self) -> None:
        """Warn of keys that came with several texts, if any did."""
        if self._several:
            found = f"{self._several} times it came with another one, first {self._first!r}"
            logger.warning("the first text of a docno is taken, and %s: is it an id?", found)


def distinct(entries: Iterable[Document | Unusable]) -> Iterator[Document | Unusable]:
    """The documents, the first of each docno alone, and what cannot be used. Docnos that come with several texts are reported at the end.

    Memory: see ``Distinct``.
    """
    seen, stream = Distinct(), iter(entries)
    while batch := list(islice(stream, _BATCH)):
        yield from (entry for entry in batch if isinstance(entry, Unusable))
        documents = [entry for entry in batch if not isinstance(entry, Unusable)]
        places = seen.new([document["docno"] for document in documents], [document["text"] for document in documents])
        yield from (documents[place] for place in places)
    seen.report()
