"""The rows of an index in batches, for copying and exporting it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.models.dense.transformers import PASSAGE_SEPARATOR

BATCH = 4096


def index_rows(index: AnceIndex, *, passages: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows of documents that are not deleted, in batches: docnos, an object array ``[n]``, and vectors as stored, ``[n, D]``.

    Args:
        index: the index.
        passages: name the rows ``docno#0``, ``docno#1``, …; otherwise by their documents' docnos.
    """
    table = index.table
    for first, vectors in index.vectors.blocks(BATCH):
        rows = np.arange(first, first + len(vectors))
        if table.searchable is not None:
            rows = rows[table.searchable[first : first + len(vectors)]]
            vectors = vectors[rows - first]
        if not len(rows):
            continue
        documents = table.documents(rows)
        docnos = index.docnos(documents)
        if passages:
            places = rows - table.rows(documents)[0]
            docnos[:] = [f"{docno}{PASSAGE_SEPARATOR}{place}" for docno, place in zip(docnos, places.tolist(), strict=True)]
        yield docnos, vectors
