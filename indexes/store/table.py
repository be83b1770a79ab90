"""The documents of an index: docnos, the rows of each, the order of ties, and which documents were deleted.

Shapes: N documents, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.arrays import map_array, save_array
from ance_ir.datasets import DocnoMap
from ance_ir.digests import hash_files
from ance_ir.errors import DamagedIndexError, DatasetError
from ance_ir.indexes.store.tie_order import tie_order

_BLOCK = 1 << 20
_REMEDY = "build the index again"
FILES = ("tie_order.npy", "offsets.npy", "text_hashes.npy")


class DocumentTable:
    """The documents of an index, numbered from 0 in the order in which they came; deleted ones keep their numbers.

    Everything is mapped when it is opened, so later changes of the files do not affect it.

    Args:
        folder: the index's.
        manifest: the index's.
        rows: R.

    Raises:
        DamagedIndexError: a file is missing, cannot be read, or has the wrong size.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], rows: int) -> None:
        self.folder = folder / manifest.get("tables", ".")
        try:
            self.docno_map = DocnoMap(self.folder / "docnos").open()
        except DatasetError as error:
            raise DamagedIndexError(f"{self.folder / 'docnos'} cannot be read ({error}); {_REMEDY}") from error
        count = len(self.docno_map)
        self.offsets = _map(self.folder / "offsets.npy", "int64", count + 1) if manifest["most_passages"] else None
        """int64 ``[N + 1]``, or None where each document is one row: document i has the rows from element i up to element i + 1."""
        self.text_hashes = _map(self.folder / "text_hashes.npy", "uint64", count) if (self.folder / "text_hashes.npy").exists() else None
        """uint64 ``[N]``, see ``DocumentStore``; 0 where the text is not known. None where no text is."""
        self.deleted = _map(folder / manifest["deleted"], "int64", None) if manifest.get("deleted") else np.empty(0, dtype=np.int64)
        """Numbers of deleted documents, int64, ascending."""
        self._tie_orders = _map(self.folder / "tie_order.npy", "int64", count)
        self._most_passages = manifest["most_passages"]
        held = count if self.offsets is None else int(self.offsets[-1])
        if held != rows:
            raise DamagedIndexError(f"{self.folder}: {held} vectors of documents were expected, found {rows}; {_REMEDY}")
        for name, numbers, first, last in (("offsets", self.offsets, 0, rows), ("deleted", self.deleted, 0, count - 1)):
            if numbers is not None and not _ascending(numbers, first, last):
                raise DamagedIndexError(f"{self.folder}: {name} do not ascend within {first} to {last}; {_REMEDY}")
        if not 0 <= self._most_passages <= rows:
            raise DamagedIndexError(f"{self.folder}: a document of {self._most_passages} passages, of {rows} in all; {_REMEDY}")

    @staticmethod
    def write(folder: Path, boundaries: np.ndarray | None, text_hashes: np.ndarray | None) -> None:
        """Write the files of a table into a folder that already has the docnos, in ``docnos``.

        Args:
            folder: an existing folder.
            boundaries: the later ``offsets``.
            text_hashes: the later ``text_hashes``.
        """
        save_array(folder / "tie_order.npy", tie_order(DocnoMap(folder / "docnos")))
        for name, array in (("offsets.npy", boundaries), ("text_hashes.npy", text_hashes)):
            if array is not None:
                save_array(folder / name, array)

    def __len__(self) -> int:
        return len(self.docno_map)

    def docnos(self, numbers: np.ndarray) -> np.ndarray:
        """Docnos of document numbers, as an array of ``str`` objects."""
        return self.docno_map.docnos(numbers)

    def numbers(self, docnos: Sequence[str]) -> np.ndarray:
        """Document numbers of docnos, int64, −1 for those that the index does not hold."""
        numbers = self.docno_map.numbers(docnos)
        if len(self.deleted):
            places = np.minimum(np.searchsorted(self.deleted, numbers), len(self.deleted) - 1)
            numbers[self.deleted[places] == numbers] = -1
        return numbers

    def rows(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first row of each document, and how many rows it has; int64, of int64 document numbers."""
        if self.offsets is None:
            return numbers, np.ones(len(numbers), dtype=np.int64)
        return self.offsets[numbers], self.offsets[numbers + 1] - self.offsets[numbers]

    def documents(self, rows: np.ndarray) -> np.ndarray:
        """Document numbers of rows, both int64."""
        if self.offsets is None:
            return rows
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def tie_order(self, rows: np.ndarray) -> np.ndarray:
        """Sort keys of rows: of two with equal scores the one with the smaller key comes first; see ``TieOrder``."""
        documents = self.documents(rows)
        if self.offsets is None:
            return np.asarray(self._tie_orders[documents])
        order: np.ndarray = self._tie_orders[documents] * self._most_passages + (rows - self.offsets[documents])
        return order

    @cached_property
    def searchable(self) -> np.ndarray | None:
        """Whether each row may be found, bool ``[R]``; None where all may."""
        if not len(self.deleted):
            return None
        return row_mask(self.deleted, self.offsets, len(self), inside=False)

    @cached_property
    def first_passages(self) -> np.ndarray | None:
        """Whether each row is the first of its document and may be found, bool ``[R]``; None where all are."""
        if self.offsets is None:
            return self.searchable
        first = np.zeros(int(self.offsets[-1]), dtype=bool)
        first[self.offsets[:-1]] = True
        return first if self.searchable is None else first & self.searchable

    @property
    def live(self) -> int:
        """How many documents are not deleted."""
        return len(self) - len(self.deleted)


def checksums(folder: Path, manifest: dict[str, Any]) -> dict[str, str]:
    """The checksums of all files of an index but its shards, by their paths in its folder."""
    table = folder / manifest.get("tables", ".")
    paths = [*sorted((table / "docnos").iterdir()), *(table / name for name in FILES)]
    if manifest.get("deleted"):
        paths.append(folder / manifest["deleted"])
    return {str(path.relative_to(folder)): hash_files([path]) for path in paths if path.exists()}


def row_mask(documents: np.ndarray, offsets: np.ndarray | None, count: int, *, inside: bool) -> np.ndarray:
    """Bool ``[R]``: ``inside`` for the rows of the given documents, of ``count`` in all, and its opposite for the others."""
    mask = np.full(count, not inside)
    mask[documents] = inside
    return mask if offsets is None else np.repeat(mask, np.diff(offsets))


def _map(path: Path, dtype: str, size: int | None) -> np.ndarray:
    return map_array(path, dtype, (size,), error=DamagedIndexError, remedy=_REMEDY)


def _ascending(numbers: np.ndarray, first: int, last: int) -> bool:
    """Whether numbers ascend and lie within first and last; checked in blocks, as there may be many."""
    if len(numbers) and not first <= numbers[0] <= numbers[-1] <= last:
        return False
    starts = range(0, len(numbers), _BLOCK)
    return all((np.diff(numbers[start : start + _BLOCK + 1]) >= 0).all() for start in starts)
