"""Writing of layouts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.errors import UsageError
from ance_ir.files import atomic_open


def write_json_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write objects, one a line."""
    with atomic_open(path) as stream:
        for value in values:
            stream.write(json.dumps(value, ensure_ascii=False) + "\n")


def write_columns(path: Path, rows: Iterable[Iterable[object]], *, header: Iterable[str] = (), delimiter: str = "\t") -> None:
    """Write rows of columns that are not quoted.

    Raises:
        UsageError: a value holds the delimiter or an end of line.
    """
    with atomic_open(path) as stream:
        if header := list(header):
            stream.write(delimiter.join(header) + "\n")
        for row in rows:
            values = [str(value) for value in row]
            if bad := next((value for value in values if delimiter in value or "\n" in value or "\r" in value), None):
                raise UsageError(f"{path.name} cannot hold tabs and ends of lines, which stand in {bad[:80]!r}")
            stream.write(delimiter.join(values) + "\n")


def one_split(write: Callable[[Iterable[TrainingRecord], Path], None]) -> Callable[[Contents, Path], None]:
    """The writer of a layout that is a file of training records: those of all splits that are written, one after the other."""

    def write_contents(contents: Contents, out: Path) -> None:
        write((record for split in contents.splits for record in contents.records(split)), out)

    return write_contents
