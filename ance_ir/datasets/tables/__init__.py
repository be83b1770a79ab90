"""Forms of files of records: one module for each, whose ``FORM`` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from ance_ir import registries
from ance_ir.compression import plain_name
from ance_ir.datasets.table import Table, TableFile
from ance_ir.registry import Registry

__all__ = ["TABLE_FILES", "find_tables", "is_table", "open_table", "shards"]


TABLE_FILES: Registry[TableFile] = registries.TABLE_FILES


def _form_of(path: Path) -> TableFile | None:
    suffix = Path(plain_name(path.name)).suffix.lower()
    return next((form for form in TABLE_FILES.values() if suffix in form.suffixes), None)


def is_table(path: Path) -> bool:
    """Whether a file's name is that of a file of records."""
    return _form_of(path) is not None


def open_table(path: Path, columns: Mapping[str, str] | None = None) -> Table:
    """The rows of a file; one with another ending is read as lines of JSON.

    Args:
        path: the file.
        columns: see ``Table``.
    """
    form = _form_of(path) or TABLE_FILES["json"]
    return Table(path, form.read, columns)


def shards(files: Iterable[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Files that are parts of one, as ``train-00000-of-00002.parquet`` and the next: their common stem, and they, neighbours in a list
    that is sorted by name.
    """
    for (_, stem, _), group in groupby(files, key=_without_number):
        yield stem, list(group)


_NUMBER = re.compile(r"[-_.]?\d+(-of-\d+)?(-[0-9a-f]{8,})?$")


def _without_number(path: Path) -> tuple[Path, str, str]:
    """The folder, the name without the number of a part, and the ending."""
    named = Path(plain_name(path.name))
    return path.parent, _NUMBER.sub("", named.stem), named.suffix


def find_tables(folder: Path) -> list[Path]:
    """The files of records in a folder and the folders in it, in order of their names; without hidden ones, and those in which Hugging
    Face datasets keeps what it knows about others, or results.
    """
    found = (path for path in folder.rglob("*") if path.is_file() and is_table(path) and not _ABOUT.fullmatch(path.name))
    return sorted(path for path in found if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts))


_ABOUT = re.compile(r"(state|dataset_dict|dataset_infos?)\.json|cache-[0-9a-f]+(_.*)?\.arrow")
