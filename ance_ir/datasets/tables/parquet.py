"""Parquet files, with pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from ance_ir.datasets.table import Entry, TableFile
from ance_ir.errors import MalformedFileError
from ance_ir.optional import optional

_BATCH = 4096
_REMEDY = "pip install 'ance_ir[data]'"


def read(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    """The rows of a file, by groups of rows.

    Args:
        path: the file.
        only: the columns to read, of those that there are.

    Raises:
        MalformedFileError: it is no Parquet file, or is damaged.
        MissingDependencyError: pyarrow is not installed.
    """
    parquet = optional("pyarrow.parquet", needed_for="reading Parquet files", remedy=_REMEDY)
    arrow = optional("pyarrow", needed_for="reading Parquet files", remedy=_REMEDY)
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = None if only is None else [name for name in file.schema_arrow.names if name in only]
            for batch in file.iter_batches(batch_size=_BATCH, columns=names):
                for values in batch.to_pylist():
                    number += 1
                    yield number, values
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: values that Python cannot hold
        found = " ".join(str(error).split())[:200]
        raise MalformedFileError(path, number + 1, "a Parquet file", found, "It is cut or damaged: fetch it again") from None


FORM = TableFile(suffixes=(".parquet", ".pq"), read=read)
