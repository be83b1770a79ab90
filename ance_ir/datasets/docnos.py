"""Docnos on disk: number to docno and back, by memory maps and a binary search over hashes.

Every hit is compared with the key itself, so neither equal hashes nor look-alikes (``1``, ``01``) give a wrong number.
"""

from __future__ import annotations

import hashlib
import mmap
import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ance_ir.datasets.maps import map_array, map_bytes
from ance_ir.errors import DatasetError
from ance_ir.files import save_array

_FILES = ("docnos.bin", "docno_offsets.npy", "docno_hashes.npy", "docno_order.npy")


def hash_text(text: str) -> int:
    """A 64-bit hash, the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class DocnoMap:
    """The docnos of a folder that ``DocnoMap.write`` filled; N in all, numbered in the order in which they were written.

    Only the folder's path is pickled; the files are mapped on first use.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @staticmethod
    def write(docnos: Iterable[str], folder: Path) -> DocnoMap:
        """Write the docnos into an existing folder, holding 32 bytes of memory for each.

        Raises:
            DatasetError: a docno that occurs twice.
        """
        offsets, hashes = array("q", [0]), array("Q")
        with (folder / "docnos.bin").open("wb") as stream:
            for docno in docnos:
                stream.write(docno.encode())
                offsets.append(stream.tell())
                hashes.append(hash_text(docno))
        unsorted = np.frombuffer(hashes, dtype=np.uint64)
        order = np.argsort(unsorted, kind="stable")
        save_array(folder / "docno_offsets.npy", np.frombuffer(offsets, dtype=np.int64))
        save_array(folder / "docno_hashes.npy", unsorted[order])
        save_array(folder / "docno_order.npy", order)
        written = DocnoMap(folder)
        written._refuse_duplicates()
        return written

    def copy(self, folder: Path) -> None:
        """Put the same docnos into another folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(self.folder / name, folder / name)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __iter__(self) -> Iterator[str]:
        return (self._docno(number) for number in range(len(self)))

    def docnos(self, numbers: npt.ArrayLike) -> npt.NDArray[Any]:
        """The docnos of an array of numbers: an object array of str, of the same shape.

        Raises:
            IndexError: a number below 0 or not below N.
        """
        wanted = np.asarray(numbers, dtype=np.int64)
        found = np.empty(wanted.size, dtype=object)
        found[:] = [self._docno(int(number)) for number in wanted.ravel()]
        return found.reshape(wanted.shape)

    def numbers(self, docnos: Sequence[str]) -> npt.NDArray[np.int64]:
        """The numbers of B docnos: ``[B]`` int64, -1 where unknown."""
        hashes = np.fromiter((hash_text(docno) for docno in docnos), dtype=np.uint64, count=len(docnos))
        starts = np.searchsorted(self._hashes, hashes)
        found = (self._find(docno, hashed, start) for docno, hashed, start in zip(docnos, hashes, starts, strict=True))
        return np.fromiter(found, dtype=np.int64, count=len(docnos))

    def _find(self, docno: str, hashed: np.uint64, start: np.intp) -> int:
        position = int(start)
        while position < len(self) and self._hashes[position] == hashed:
            number = int(self._order[position])
            if self._docno(number) == docno:
                return number
            position += 1
        return -1

    def _docno(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise IndexError(f"document number {number} is not in 0 ... {len(self) - 1}")
        return self._bytes[self._offsets[number] : self._offsets[number + 1]].decode()

    def _refuse_duplicates(self) -> None:
        for position in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]) + 1:
            number, hashed = int(self._order[position]), self._hashes[position]
            docno = self._docno(number)
            if self._find(docno, hashed, np.searchsorted(self._hashes, hashed)) != number:
                raise DatasetError(f"the docno {docno!r} occurs more than once in the corpus; docnos must be unique")

    @cached_property
    def _bytes(self) -> mmap.mmap:
        return map_bytes(self.folder / "docnos.bin")

    @cached_property
    def _offsets(self) -> npt.NDArray[np.int64]:
        return map_array(self.folder / "docno_offsets.npy")

    @cached_property
    def _hashes(self) -> npt.NDArray[np.uint64]:
        return map_array(self.folder / "docno_hashes.npy")

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        return map_array(self.folder / "docno_order.npy")

    def __getstate__(self) -> dict[str, Path]:
        return {"folder": self.folder}
