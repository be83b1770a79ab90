"""Forms of files of records: one module for each, whose ``FORM`` reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ance_ir import registries
from ance_ir.compression import plain_name
from ance_ir.datasets.table import Table, TableFile
from ance_ir.registry import Registry

__all__ = ["TABLE_FILES", "find_tables", "is_table", "open_table"]


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


def find_tables(folder: Path) -> list[Path]:
    """The files of records in a folder and the folders in it, in order of their names; without hidden ones, and those in which Hugging
    Face datasets keeps what it knows about others, or results.
    """
    found = (path for path in folder.rglob("*") if path.is_file() and is_table(path) and not _ABOUT.fullmatch(path.name))
    return sorted(path for path in found if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts))


_ABOUT = re.compile(r"(state|dataset_dict|dataset_infos?)\.json|cache-[0-9a-f]+(_.*)?\.arrow")
