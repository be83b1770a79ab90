"""From the rows that an index is given to its documents: docnos, and where the rows of each begin."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from ance_ir.datasets import DocnoMap
from ance_ir.errors import IndexingError
from ance_ir.models.transformers import PASSAGE_SEPARATOR


class DocumentRows:
    """Groups rows into documents.

    Attributes:
        offsets: int64, first row of each document.
        rows: rows so far.
    """

    def __init__(self) -> None:
        self.offsets = array("q")
        self.rows = 0
        self._last: str | None = None

    def documents(self, docnos: Sequence[str], *, passages: bool) -> Iterator[str]:
        """The docno of each document that begins in these rows.

        Args:
            docnos: of documents, or of passages, ``docno#n``, of which those of one document follow one another.
            passages: which of the two.

        Raises:
            IndexingError: an empty docno.
        """
        for docno in docnos:
            document, _, number = docno.rpartition(PASSAGE_SEPARATOR) if passages else (docno, "", "")
            if not document:
                raise IndexingError(f"row {self.rows + 1}: a docno was expected, found {docno!r}")
            begins = not passages or document != self._last or number == "0"  # a document given twice in a row is two
            if begins:
                self.offsets.append(self.rows)
            self._last = document
            self.rows += 1
            if begins:
                yield document

    def boundaries(self) -> np.ndarray:
        """int64 ``[documents + 1]``; the rows of document i are those from place i up to place i + 1."""
        return np.append(np.frombuffer(self.offsets, dtype=np.int64), self.rows)


def tie_order(docnos: DocnoMap) -> np.ndarray:
    """Each document's place in descending order of docnos, int64 ``[documents]``."""
    names = np.fromiter((docno.encode() for docno in docnos), dtype=f"S{max(len(docno.encode()) for docno in docnos)}", count=len(docnos))
    order = np.empty(len(names), dtype=np.int64)
    order[np.argsort(names, kind="stable")] = np.arange(len(names) - 1, -1, -1)
    return order
