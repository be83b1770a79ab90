"""Documents of a stream in which the same one may come many times, as in training files."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from ance_ir.datasets.screening import Document, Unusable
from ance_ir.datasets.store.docnos import hash_text

logger = logging.getLogger(__name__)

_BATCH = 4096


class Numbering:
    """Numbers docnos from 0 in the order in which they first come. Memory: 12 bytes a docno, and as much again for a moment."""

    def __init__(self) -> None:
        self._count = 0
        self._runs: list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]] = []  # sorted hashes and their numbers; sizes double

    def add(self, docnos: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The numbers of N docnos, ``[N]``, and whether each came for the first time, ``[N]``."""
        hashes_N = np.fromiter(map(hash_text, docnos), dtype=np.uint64, count=len(docnos))
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
        new_N = np.zeros(len(docnos), dtype=bool)
        new_N[first_U[new]] = True
        return numbers_U[places_N], new_N

    def _keep(self, hashes: npt.NDArray[np.uint64], numbers: npt.NDArray[np.uint32]) -> None:
        while len(hashes) and self._runs and len(self._runs[-1][0]) <= len(hashes):
            others = self._runs.pop()
            hashes, numbers = np.concatenate([others[0], hashes]), np.concatenate([others[1], numbers])
            order = np.argsort(hashes)
            hashes, numbers = hashes[order], numbers[order]
        if len(hashes):
            self._runs.append((hashes, numbers))


def distinct(entries: Iterable[Document | Unusable]) -> Iterator[Document | Unusable]:
    """The documents, the first of each docno alone, and what cannot be used. Memory: 16 bytes a docno, and as much again for a moment.

    Docnos that come with several texts are reported at the end.
    """
    seen, texts, stream = Numbering(), array("I"), iter(entries)
    several = 0
    first = ""
    while batch := list(islice(stream, _BATCH)):
        documents = [entry for entry in batch if not isinstance(entry, Unusable)]
        numbers_N, new_N = seen.add([document["docno"] for document in documents])
        hashes_N = np.fromiter((hash(document["text"]) & 0xFFFFFFFF for document in documents), dtype=np.uint32, count=len(documents))
        texts.frombytes(hashes_N[new_N].tobytes())
        others = (np.frombuffer(texts, dtype=np.uint32)[numbers_N] != hashes_N).nonzero()[0]
        several += len(others)
        first = first or (documents[others[0]]["docno"] if len(others) else "")
        news = iter(new_N.tolist())
        for entry in batch:
            if isinstance(entry, Unusable) or next(news):
                yield entry
    if several:
        logger.warning("the first text of a docno is taken, and %d times it came with another one, first %r: is it an id?", several, first)
