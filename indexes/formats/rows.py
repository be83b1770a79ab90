"""An index, row by row: what every format is written from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.formats.batches import BATCH, Batch, id_array
from ance_ir.models.transformers import PASSAGE_SEPARATOR


def index_rows(index: AnceIndex, rows: int = BATCH) -> Iterator[Batch]:
    """The index's rows in batches: docnos, an object array ``[n]``, and vectors as stored, ``[n, D]``.

    Where documents have several passages, the rows are named ``docno#0``, ``docno#1``, …; otherwise by the document's docno.
    """
    starts_N, counts_N = index.rows(np.arange(len(index)))
    passages = bool((counts_N > 1).any())
    for first, vectors in index.store.blocks(rows):
        numbers = np.arange(first, first + len(vectors))
        documents = np.searchsorted(starts_N, numbers, side="right") - 1
        docnos = index.docnos(documents)
        if passages:
            places = numbers - starts_N[documents]
            docnos = id_array(f"{docno}{PASSAGE_SEPARATOR}{place}" for docno, place in zip(docnos, places, strict=True))
        yield docnos, vectors
