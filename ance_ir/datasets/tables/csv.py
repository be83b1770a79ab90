"""Columns with commas between them under a line of names (RFC 4180)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from ance_ir.datasets.table import Entry, TableFile
from ance_ir.datasets.tables.tsv import read_delimited


def read(path: Path, only: Collection[str] | None = None) -> Iterator[Entry]:
    """The rows of a file, with all columns."""
    return read_delimited(path, ",")


FORM = TableFile(suffixes=(".csv",), read=read)
