"""Docnos on disk: from number to docno and back, with memory maps and a binary search over hashes.

Every hit is compared with the docno itself, so equal hashes do no harm.
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

from ance_ir.arrays import map_array, map_bytes, save_array
from ance_ir.errors import DatasetError
from ance_ir.files import as_path

PIECE = 8
"""Bytes of a docno that are compared at once when docnos are sorted."""

_GATHERED = 1 << 18
_REMEDY = "rebuild the index or store that it belongs to"
_FILES = ("docnos.bin", "docno_offsets.npy", "docno_hashes.npy", "docno_order.npy")


def hash_text(text: str) -> int:
    """A 64-bit hash, the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class DocnoMap:
    """The docnos of a folder that ``DocnoMap.write`` filled; N in all, numbered in the order in which they were written.

    Only the folder's path is pickled; the files are mapped on first use.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = as_path(folder)

    @staticmethod
    def write(docnos: Iterable[str], folder: Path, *, unique: bool = True) -> DocnoMap:
        """Write the docnos into an existing folder, holding 32 bytes of memory for each.

        Args:
            docnos: in the order of their numbers.
            folder: the folder.
            unique: whether to refuse docnos that occur twice.

        Raises:
            DatasetError: a docno occurs twice.
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
        if unique and len(repeated := written.repeated()):
            docno = written._docno(int(repeated[0]))
            raise DatasetError(f"the docno {docno!r} occurs more than once in the corpus; docnos must be unique")
        return written

    def copy(self, folder: Path) -> None:
        """Put the same docnos into another folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(self.folder / name, folder / name)

    def extend(self, added: DocnoMap, without: npt.NDArray[np.int64], folder: Path) -> DocnoMap:
        """Write these docnos followed by others into a new folder.

        Args:
            added: others; none of them may be among these, except those in ``without``.
            without: numbers of docnos that are no longer to be found; they keep their numbers, and may occur again in ``added``.
            folder: the new folder.
        """
        folder.mkdir()
        with (folder / "docnos.bin").open("wb") as stream:
            for part in (self, added):
                with (part.folder / "docnos.bin").open("rb") as source:
                    shutil.copyfileobj(source, stream)
        known = ~np.isin(self._order, without)
        hashes = np.concatenate([self._hashes[known], added._hashes])
        numbers = np.concatenate([self._order[known], added._order + len(self)])
        order = np.argsort(hashes, kind="stable")
        save_array(folder / "docno_offsets.npy", np.concatenate([self._offsets, added._offsets[1:] + self._offsets[-1]]))
        save_array(folder / "docno_hashes.npy", hashes[order])
        save_array(folder / "docno_order.npy", numbers[order])
        return DocnoMap(folder)

    def open(self) -> DocnoMap:
        """Map the files now; later changes on disk do not affect this object then.

        Raises:
            DatasetError: a file is missing, damaged, or not as long as the others say.
        """
        if len(self._bytes) != self._offsets[-1] or len(self._hashes) != len(self._order):
            raise self._damaged()
        return self

    def pieces(self, numbers: npt.NDArray[np.int64], start: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Up to ``PIECE`` bytes of each docno from byte ``start`` on, as a number that sorts as they do, and how many there are."""
        data = np.frombuffer(self._bytes, dtype=np.uint8)
        keys = np.empty(len(numbers), dtype=np.uint64)
        lengths = np.empty(len(numbers), dtype=np.int64)
        for first in range(0, len(numbers), _GATHERED):
            part = numbers[first : first + _GATHERED]
            begins = self._offsets[part] + start
            left = np.clip(self._offsets[part + 1] - begins, 0, PIECE)
            gathered = data[np.minimum(begins[:, None] + np.arange(PIECE), len(data) - 1)]
            gathered[np.arange(PIECE) >= left[:, None]] = 0
            keys[first : first + _GATHERED] = gathered.view(">u8").ravel()
            lengths[first : first + _GATHERED] = left
        return keys, lengths

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
        while position < len(self._hashes) and self._hashes[position] == hashed:
            number = int(self._order[position])
            if not 0 <= number < len(self):
                raise self._damaged()
            if self._docno(number) == docno:
                return number
            position += 1
        return -1

    def _docno(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise IndexError(f"document number {number} is not in 0 ... {len(self) - 1}")
        begin, end = self._offsets[number], self._offsets[number + 1]
        try:
            if not 0 <= begin <= end <= len(self._bytes):
                raise self._damaged()
            return self._bytes[begin:end].decode()
        except UnicodeDecodeError:
            raise self._damaged() from None

    def _damaged(self) -> DatasetError:
        return DatasetError(f"{self.folder}: the files of its docnos are damaged or do not belong together; {_REMEDY}")

    def repeated(self) -> npt.NDArray[np.int64]:
        """Numbers, int64 and ascending, of docnos that occurred before."""
        numbers = array("q")
        for position in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]) + 1:
            number, hashed = int(self._order[position]), self._hashes[position]
            if self._find(self._docno(number), hashed, np.searchsorted(self._hashes, hashed)) != number:
                numbers.append(number)
        return np.sort(np.frombuffer(numbers, dtype=np.int64))

    @cached_property
    def _bytes(self) -> mmap.mmap:
        return map_bytes(self.folder / "docnos.bin", remedy=_REMEDY)

    @cached_property
    def _offsets(self) -> npt.NDArray[np.int64]:
        offsets = map_array(self.folder / "docno_offsets.npy", "int64", (None,), remedy=_REMEDY)
        if not len(offsets):  # there is one more of them than docnos
            raise self._damaged()
        return offsets

    @cached_property
    def _hashes(self) -> npt.NDArray[np.uint64]:
        return map_array(self.folder / "docno_hashes.npy", "uint64", (None,), remedy=_REMEDY)

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        return map_array(self.folder / "docno_order.npy", "int64", (len(self._hashes),), remedy=_REMEDY)

    def __getstate__(self) -> dict[str, Path]:
        return {"folder": self.folder.absolute()}
