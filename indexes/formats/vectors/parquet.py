"""Parquet of Anserini, Milvus, LanceDB and others: *.parquet with a column of ids and one of vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.datasets.rows import DOCNO
from ance_ir.datasets.tables.parquet import damage_named
from ance_ir.errors import IndexingError
from ance_ir.indexes.formats.batches import Batch, id_array
from ance_ir.indexes.formats.format import Format
from ance_ir.optional import optional

_REMEDY = "pip install 'ance_ir[data]'"
_PATTERNS = ("*.parquet", "*.pq")
_FILE = "vectors.parquet"
_VECTORS = ("vector", "vectors", "embedding", "embeddings", "emb", "doc_vec")
_BYTES = 32 << 20
"""Of the vectors of a group of rows, so that reading one does not need more memory than that."""


def read(source: Path, rows: int) -> Iterator[Batch]:
    """The vectors of the file, or of the folder's files in the order of their names, by groups of rows. The column of ids is called
    ``docno``, ``docid``, ``id`` or alike; that of the vectors, lists of floats of any width, ``vector``, ``embedding`` or alike, or is the
    only one of its kind.

    Raises:
        IndexingError: the folder has no such file, or a file no such columns, or a vector is missing or of another dimension.
        MalformedFileError: a file is cut or damaged.
        MissingDependencyError: pyarrow is not installed.
    """
    parquet = optional("pyarrow.parquet", needed_for="reading Parquet files", remedy=_REMEDY)
    files = [source] if source.is_file() else sorted({path for pattern in _PATTERNS for path in source.glob(pattern)}, key=_natural)
    if not files:
        raise IndexingError(f"{source}: files with names in .parquet were expected; there is none")
    for path in files:
        with damage_named(path), parquet.ParquetFile(path) as file:
            of_ids, of_vectors = _columns(path, file.schema_arrow)
            for batch in file.iter_batches(batch_size=rows, columns=[of_ids, of_vectors]):
                if batch.num_rows:
                    yield id_array(batch.column(of_ids).to_pylist()), _array(path, batch.column(of_vectors))


def write(folder: Path, batches: Iterable[Batch]) -> None:
    """Write ``vectors.parquet``: ``docno``, a string, and ``vector``, a list of so many floats of the type of the given vectors."""
    arrow = optional("pyarrow", needed_for="writing Parquet files", remedy=_REMEDY)
    parquet = optional("pyarrow.parquet", needed_for="writing Parquet files", remedy=_REMEDY)
    writer: Any = None
    try:
        for ids, vectors in batches:
            flat = arrow.array(np.ascontiguousarray(vectors).reshape(-1))
            lists = arrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
            batch = arrow.record_batch({"docno": arrow.array(ids.tolist(), arrow.string()), "vector": lists})
            writer = writer or parquet.ParquetWriter(folder / _FILE, batch.schema, compression="none", use_dictionary=["docno"])
            writer.write_batch(batch, row_group_size=max(1, _BYTES // max(1, vectors[0].nbytes)))
    finally:
        if writer is not None:
            writer.close()


def _columns(path: Path, schema: Any) -> tuple[str, str]:
    """The names of the columns of ids and vectors."""
    types = optional("pyarrow", needed_for="reading Parquet files", remedy=_REMEDY).types
    lists = [field.name for field in schema if _is_list(types, field.type) and types.is_floating(field.type.value_type)]
    named = [name for name in _VECTORS if name in lists] or (lists if len(lists) == 1 else [])
    ids = [name for name in DOCNO if name in schema.names]
    if not named or not ids:
        wanted = "a column of ids (docno, id, …)" if not ids else "one column of vectors, lists of floats (vector, embedding, …)"
        raise IndexingError(f"{path}: {wanted} was expected, found {', '.join(f'{field.name} ({field.type})' for field in schema)}")
    return ids[0], named[0]


def _is_list(types: Any, kind: Any) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _array(path: Path, column: Any) -> np.ndarray:
    """The vectors of a column, ``[n, D]``."""
    if column.null_count:
        raise IndexingError(f"{path}: a row has no vector")
    lengths = optional("pyarrow.compute", needed_for="reading Parquet files", remedy=_REMEDY).list_value_length
    values = column.flatten()
    if values.null_count or len(values) % len(column) or len(set(lengths(column).to_pylist())) > 1:
        raise IndexingError(f"{path}: vectors of one dimension were expected, without missing numbers")
    array: np.ndarray = values.to_numpy(zero_copy_only=False).reshape(len(column), -1)
    return array


def _natural(path: Path) -> list[tuple[int, str]]:
    """``part-2`` comes before ``part-10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


FORMAT = Format(patterns=_PATTERNS, marker=_FILE, read=read, write=write)
