"""Building an index from a stream: rows in, vectors on disk and docnos out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ance_ir.datasets.ids import Ids, InvalidIdError
from ance_ir.errors import IndexingError
from ance_ir.indexes.store.document_rows import DocumentRows
from ance_ir.indexes.store.vectors import VectorWriter
from ance_ir.models import Encoding
from ance_ir.models.compute.batching import chunks

_APPEND = 4096


class IndexBuild:
    """Takes rows with ``docno``, ``doc_vec`` and perhaps ``encoding``, writes their vectors, and yields the docnos of their documents.

    Args:
        vectors: the writer of the vectors.

    Attributes:
        rows: which rows belong to which document.
        encoding: how the rows were encoded, where they say so.
    """

    def __init__(self, vectors: VectorWriter) -> None:
        self.vectors = vectors
        self.rows = DocumentRows()
        self.encoding: Encoding | None = None
        self._ids = Ids("the index's rows")

    @property
    def passages(self) -> bool:
        """Whether rows are passages, several of which may belong to one document."""
        return self.encoding is not None and self.encoding.passages is not None

    def consume(self, stream: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Write the rows' vectors; yield the docno of each document.

        Raises:
            IndexingError: rows of different encodings or dimensions, or without a docno.
        """
        for rows in chunks(stream, _APPEND):
            for row in rows:
                check_row(row)
            docnos = [self._docno(row["docno"], self.rows.rows + place) for place, row in enumerate(rows, start=1)]
            self._check_encoding(rows)
            vectors = [_vector(row["doc_vec"], docno) for docno, row in zip(docnos, rows, strict=True)]
            other = next((place for place, vector in enumerate(vectors) if len(vector) != len(vectors[0])), None)
            if other is not None:
                dimensions = f"{len(vectors[0])} and {len(vectors[other])} dimensions"
                raise IndexingError(f"vectors of {dimensions}, those of {docnos[0]!r} and {docnos[other]!r}")
            self.vectors.append(np.stack(vectors), docnos)
            yield from self.rows.documents(docnos, passages=self.passages)
        self._ids.report()

    def _docno(self, docno: object, place: int) -> str:
        """The docno of a row; whole numbers become text."""
        try:
            return self._ids.given(docno, "docno")
        except InvalidIdError as invalid:
            raise IndexingError(f"row {place}: {invalid}") from None

    def _check_encoding(self, rows: list[dict[str, Any]]) -> None:
        if self.rows.rows == 0:
            self.encoding = rows[0].get("encoding")
        for row in rows:
            if row.get("encoding") != self.encoding:
                raise IndexingError(f"row {row['docno']!r} was encoded by {row.get('encoding')}, those before it by {self.encoding}")


def check_row(row: object) -> None:
    """Refuse anything that is not a row of an index.

    Raises:
        IndexingError: it is not a mapping, or lacks ``docno`` or ``doc_vec``.
    """
    if not isinstance(row, Mapping):
        raise IndexingError(f"a row is a dictionary with docno and doc_vec; found {row!r:.80}")
    lacking = [name for name in ("docno", "doc_vec") if name not in row]
    if lacking:
        hint = "; encode documents with a model: (FirstP() >> model.passages() >> index).index(documents)" if "doc_vec" in lacking else ""
        raise IndexingError(f"a row has docno and doc_vec; {row.get('docno')!r} has only {', '.join(map(str, row)) or 'nothing'}{hint}")


def _vector(value: Any, docno: str) -> np.ndarray:
    """A vector of numbers, ``[D]``.

    Raises:
        IndexingError: it is not a vector of numbers.
    """
    try:
        vector = np.asarray(value.detach().cpu().float() if hasattr(value, "detach") else value)
    except (TypeError, ValueError):
        vector = np.zeros((0, 0))
    if vector.ndim != 1 or vector.dtype.kind not in "fiu":
        raise IndexingError(f"document {docno!r}: its doc_vec must be a vector of numbers, found {value!r:.60}")
    return vector
