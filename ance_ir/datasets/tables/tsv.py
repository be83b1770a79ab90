"""Columns with tabs between them under a line of names; values may be quoted as in CSV files.

Where the line of names has no tab (or, in a ``.csv`` file, no comma), but a tab, semicolon or comma, that is what separates columns.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ance_ir.datasets.table import Entry, TableFile
from ance_ir.errors import MalformedFileError
from ance_ir.reading import first_not_utf8, open_binary

logger = logging.getLogger(__name__)


def read_delimited(path: Path, delimiter: str) -> Iterator[Entry]:
    """The rows of a file whose first line names the columns. One with more or fewer columns is an error after which others are read.

    Another delimiter than the usual one is reported where more than the first row is read, by which files are only recognised.

    Args:
        path: the file.
        delimiter: what separates columns, unless it is not in the first line.

    Raises:
        MalformedFileError: a quotation is not closed, or the file is not UTF-8.
    """
    csv.field_size_limit(1 << 30)
    with open_binary(path) as stream:
        found = _delimiter(stream, delimiter)
        rows = _rows(path, stream, found)
        yield from islice(rows, 1)
        if found != delimiter:
            logger.warning("%s has %s between its columns, not %s; it is read so", path, _DELIMITERS[found], _DELIMITERS[delimiter])
        yield from rows


def _delimiter(stream: io.BufferedReader[Any], usual: str) -> str:
    """What separates the columns of a file."""
    names = re.split(rb"[\r\n]", stream.peek(1).lstrip(b"\r\n"), maxsplit=1)[0]
    return next((name for name in (usual, *_DELIMITERS) if name.encode() in names), usual)


_DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas"}


def _rows(path: Path, stream: io.BufferedReader[Any], delimiter: str) -> Iterator[Entry]:
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
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
                yield reader.line_num, dict(zip(names, values))  # noqa: B905  # checked, and faster so
        except csv.Error as error:
            raise MalformedFileError(path, reader.line_num, "columns, quoted as in CSV files where they are quoted", str(error)) from None
        except UnicodeDecodeError:  # of a piece of the file, in the middle of which the reader is
            raise first_not_utf8(path) from None


def read(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    """The rows of a file, with all columns."""
    return read_delimited(path, "\t")


FORM = TableFile(suffixes=(".tsv",), read=read)
