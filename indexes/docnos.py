"""Docnos of an index: written as they come, grouped where documents have passages."""

from __future__ import annotations

from array import array
from pathlib import Path
from types import TracebackType
from typing import Self

import npids
import numpy as np

from ance_ir.errors import IndexingError
from ance_ir.models.transformers import PASSAGE_SEPARATOR

_BLOCK = 65_536


class DocnoWriter:
    """Writes ``docnos`` and, for passages, ``offsets.npy`` into a folder.

    Attributes:
        count: documents so far.
        most_passages: passages of the document that has most; 0 where rows are documents.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.most_passages = 0
        self._builder = npids.Lookup.builder(folder / "docnos")
        self._last: str | None = None
        self._rows = 0
        self._offsets = array("q")

    def __enter__(self) -> Self:
        self._docnos = self._builder.__enter__()
        return self

    def append(self, docnos: list[str], *, passages: bool) -> None:
        """Add rows: docnos, or passages ``docno#n`` of which those of one document follow one another.

        Raises:
            IndexingError: an empty docno.
        """
        for docno in docnos:
            document = docno.rpartition(PASSAGE_SEPARATOR)[0] if passages else docno
            if not document:
                raise IndexingError(f"row {self._rows + 1}: a docno was expected, found {docno!r}")
            if not passages or document != self._last:
                self._docnos.add(document)
                self.count += 1
                if passages:
                    self._offsets.append(self._rows)
            self._last = document
            self._rows += 1
            if passages:
                self.most_passages = max(self.most_passages, self._rows - self._offsets[-1])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None or not self.count:
            self._docnos.close()
            return
        self._builder.__exit__(None, None, None)
        if self.most_passages:
            self._offsets.append(self._rows)
            np.save(self.folder / "offsets.npy", np.frombuffer(self._offsets, dtype=np.int64), allow_pickle=False)


def docno_order(path: Path) -> np.ndarray:
    """Each document's place in descending order of docnos, int64 ``[documents]``.

    Raises:
        IndexingError: names a docno that comes twice.
    """
    lookup = npids.Lookup(path)
    count = len(lookup)
    blocks = [lookup.fwd.lookup(np.arange(start, min(start + _BLOCK, count)), as_bytes=True) for start in range(0, count, _BLOCK)]
    docnos = np.concatenate(blocks)
    ascending = np.argsort(docnos, kind="stable")
    ordered = docnos[ascending]
    repeated = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(repeated):
        raise IndexingError(f"the docno {ordered[repeated[0]].decode()!r} comes twice ({len(repeated)} repeated docnos in all)")
    order = np.empty(count, dtype=np.int64)
    order[ascending] = np.arange(count - 1, -1, -1)
    return order
