"""Columns with tabs between them under a line of names; values may be quoted as in CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from ance_ir.datasets.table import Entry, TableFile
from ance_ir.errors import MalformedFileError
from ance_ir.reading import open_binary


def read_delimited(path: Path, delimiter: str) -> Iterator[Entry]:
    """The rows of a file whose first line names the columns. One with more or fewer columns is an error after which others are read.

    Raises:
        MalformedFileError: a quotation is not closed, or the file is not UTF-8.
    """
    csv.field_size_limit(1 << 30)
    with open_binary(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            rows = filter(None, reader)  # without blank lines
            names = next(rows, [])
            if repeated := [name for name in names if names.count(name) > 1]:
                raise MalformedFileError(path, 1, "each column once", delimiter.join(names)[:200], f"{repeated[0]!r} comes twice")
            for values in rows:
                if len(values) != len(names):
                    expected = f"{len(names)} columns ({', '.join(names)})"
                    yield reader.line_num, MalformedFileError(path, reader.line_num, expected, delimiter.join(values)[:200])
                    continue
                yield reader.line_num, dict(zip(names, values, strict=True))
        except csv.Error as error:
            raise MalformedFileError(path, reader.line_num, "columns, quoted as in CSV files where they are quoted", str(error)) from None
        except UnicodeDecodeError as error:
            found = repr(error.object[error.start : error.start + 20])
            raise MalformedFileError(path, reader.line_num + 1, "UTF-8", found) from None


def read(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    """The rows of a file, with all columns."""
    return read_delimited(path, "\t")


FORM = TableFile(suffixes=(".tsv",), read=read)
