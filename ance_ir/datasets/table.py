"""Files of records: rows with named columns, whatever form the file has."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ance_ir.datasets.ids import FRACTION, as_text
from ance_ir.errors import DatasetError, MalformedFileError

Row = tuple[int, dict[str, Any]]
"""The number of a record in its file, from 1 (of its line, where records are lines), and its values by column."""

Entry = tuple[int, dict[str, Any] | MalformedFileError]
"""The same, with the error of a record that cannot be read, after which others can."""

_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A form of files of records.

    Attributes:
        suffixes: the endings of its files, without that of a compression.
        read: the records of a file, a stream; of the columns named, or all. Forms that have to read all columns give all.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Path, Collection[str] | None], Iterator[Entry]]


class Table:
    """The rows of a file, which can be read several times, and the errors that name one.

    Args:
        path: the file.
        read: reads the rows.
        columns: other names that columns have in the file, by ours: ``{"text": "body"}`` reads ``body`` as ``text``.
    """

    def __init__(
        self, path: Path, read: Callable[[Path, Collection[str] | None], Iterator[Entry]], columns: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self._read = read
        self._columns = dict(columns or {})

    def __iter__(self) -> Iterator[Row]:
        for number, values in self.entries():
            if isinstance(values, MalformedFileError):
                raise values
            yield number, values

    def entries(self, only: Collection[str] | None = None) -> Iterator[Entry]:
        """The rows, with errors in the place of those that cannot be read.

        Args:
            only: the columns that are wanted, so that others need not be read.
        """
        if not self._columns:
            yield from self._read(self.path, only)
            return
        theirs = None if only is None else {self._columns.get(name, name) for name in only}
        for number, values in self._read(self.path, theirs):
            yield number, values if isinstance(values, MalformedFileError) else self._renamed(number, values)

    def _renamed(self, number: int, values: dict[str, Any]) -> dict[str, Any]:
        missing = [theirs for theirs in self._columns.values() if theirs not in values]
        if missing:
            raise self.error(number, values, f"a column {missing[0]!r}, as was asked for", f"columns: {', '.join(values)}")
        kept = {name: value for name, value in values.items() if name not in self._columns.values() and name not in self._columns}
        return {**kept, **{ours: values[theirs] for ours, theirs in self._columns.items()}}

    def first(self) -> dict[str, Any]:
        """The values of the first row; empty if there is none."""
        return next((values for _, values in self), {})

    def error(self, number: int, values: Any, expected: str, hint: str = "") -> MalformedFileError:
        """The error of a row that is not as expected."""
        try:
            shown = json.dumps(values, ensure_ascii=False, default=repr)
        except (ValueError, RecursionError):
            shown = repr(values)
        return MalformedFileError(self.path, number, expected, shown[:_SHOWN], hint)

    def id_of(self, number: int, values: dict[str, Any], key: str) -> str:
        """The id under a key; whole numbers, which Parquet files and JSON often have, become text."""
        value = as_text(values.get(key))
        if not isinstance(value, str):
            raise self.error(number, values, f"a string under the key {key!r}", FRACTION if isinstance(value, float) else "")
        return value

    def text_of(self, number: int, values: dict[str, Any], key: str) -> str:
        """The string under a key."""
        value = values.get(key)
        if not isinstance(value, str):
            raise self.error(number, values, f"a string under the key {key!r}")
        return value


def key_of(values: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of several names that is a column."""
    return next((name for name in names if name in values), None)


def no_rows(path: Path) -> DatasetError:
    """The error of a file in which a record was expected."""
    return DatasetError(f"{path} holds no records")
