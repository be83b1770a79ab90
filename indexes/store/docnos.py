"""From the rows of an index to its documents: their docnos, and where the rows of each begin."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from ance_ir.datasets import DocnoMap
from ance_ir.datasets.store.docnos import PIECE
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


def tie_order(docnos: DocnoMap) -> np.ndarray:
    """Each document's place in descending order of docnos (as UTF-8 bytes), int64 ``[documents]``.

    Docnos are compared eight bytes at a time, and only those that are equal so far are compared further, so memory does not grow with the
    longest docno.
    """
    order = np.arange(len(docnos))
    places = np.arange(len(docnos))  # in ``order``, of those still equal to a neighbour
    groups = np.zeros(len(docnos), dtype=np.int64)
    start = 0
    while len(places):
        keys, lengths = docnos.pieces(order[places], start)
        sort = np.lexsort((lengths, keys, groups))
        order[places] = order[places[sort]]
        keys, lengths, groups = keys[sort], lengths[sort], groups[sort]
        begins = np.append(True, (groups[1:] != groups[:-1]) | (keys[1:] != keys[:-1]) | (lengths[1:] != lengths[:-1]))
        groups = np.cumsum(begins)
        start += PIECE
        unsettled = (np.bincount(groups)[groups] > 1) & (lengths == PIECE)
        places, groups = places[unsettled], groups[unsettled]
    ranks = np.empty(len(docnos), dtype=np.int64)
    ranks[order] = np.arange(len(docnos) - 1, -1, -1)
    return ranks
