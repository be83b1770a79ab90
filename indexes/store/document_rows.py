"""From the rows of an index to its documents: their docnos, and where the rows of each begin."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from ance_ir.errors import IndexingError
from ance_ir.models.dense.transformers import PASSAGE_SEPARATOR


class DocumentRows:
    """Groups rows into documents.

    Attributes:
        offsets: int64, first row of each document.
        rows: how many rows were grouped so far.
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
            begins = not passages or document != self._last or number == "0"  # the same document twice in succession counts as two
            if begins:
                self.offsets.append(self.rows)
            self._last = document
            self.rows += 1
            if begins:
                yield document

    def boundaries(self) -> np.ndarray:
        """int64 ``[documents + 1]``; document i has the rows from element i up to element i + 1."""
        return np.append(np.frombuffer(self.offsets, dtype=np.int64), self.rows)
