"""Parquet files, with pyarrow."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from ance_ir.datasets.table import Entry, TableFile
from ance_ir.errors import AnceError, MalformedFileError
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
    number = 0
    with damage_named(path), parquet.ParquetFile(path) as file:
        names = None if only is None else [name for name in file.schema_arrow.names if name in only]
        for batch in file.iter_batches(batch_size=_BATCH, columns=names):
            for values in batch.to_pylist():
                number += 1
                yield number, values


@contextlib.contextmanager
def damage_named(path: Path, form: str = "Parquet") -> Iterator[None]:
    """While entered, errors of a cut or damaged file become a MalformedFileError that names it."""
    arrow = optional("pyarrow", needed_for=f"reading {form} files", remedy=_REMEDY)
    try:
        yield
    except AnceError:
        raise
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: values that Python cannot hold
        found = " ".join(str(error).split())[:200]
        raise MalformedFileError(path, 1, f"a whole {form} file", found, "It is cut or damaged: fetch it again") from None


FORM = TableFile(suffixes=(".parquet", ".pq"), read=read)
