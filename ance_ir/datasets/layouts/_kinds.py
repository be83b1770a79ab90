"""Which files of a folder are of a layout, by their first records, and of which split, by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ance_ir.compression import plain_name
from ance_ir.datasets.table import Table
from ance_ir.datasets.tables import find_tables, is_table, open_table, shards
from ance_ir.errors import DatasetError, MalformedFileError

_NAMES = ("train", "training", "dev", "devel", "valid", "validation", "val", "eval", "test")
_WORD = re.compile(rf"(?<![a-z])({'|'.join(_NAMES)})(?![a-z])")

RECORDS = "records"
"""The kind of files that make a layout out of a folder."""


def find_kinds(
    path: Path, layout: str, columns: Mapping[str, str], kinds: Mapping[str, Callable[[Mapping[str, Any]], bool]]
) -> dict[str, dict[str, list[Table]]] | None:
    """The tables at a path by what they hold and by split; ``None`` if none of them holds records of the layout.

    Args:
        path: a file or folder.
        layout: its name, for messages.
        columns: other names of columns, see ``Table``.
        kinds: tells from the values of a first record whether a file is of a kind; one is called ``RECORDS``.

    Raises:
        DatasetError: a folder holds something else too.
    """
    files = find_tables(path) if path.is_dir() else [path] if _is_possible(path) else []
    found: dict[str, list[Path]] = {}
    other: tuple[Path, Mapping[str, Any]] | None = None
    for _, parts in shards(files):  # of files that differ in their numbers alone, the first is looked into
        values = _first(parts[0], columns)
        kind = next((kind for kind, is_of_kind in kinds.items() if is_of_kind(values)), None)
        if kind is not None:
            found.setdefault(kind, []).extend(parts)
        elif not found:
            return None
        elif values:
            other = parts[0], values
    if RECORDS not in found:
        return None
    if other is not None:
        known = found[RECORDS][0].relative_to(path)
        what = f"{other[0].relative_to(path)}, whose records have {', '.join(other[1])}"
        raise DatasetError(f"{path} mixes layouts: it has {known} ({layout}) and {what}; put them into folders of their own")
    return {kind: _by_split(path, of_kind, columns) for kind, of_kind in found.items()}


def _by_split(path: Path, files: Iterable[Path], columns: Mapping[str, str]) -> dict[str, list[Table]]:
    """Tables by split. Where one is called like a split, names are splits; otherwise the name of one may stand in them, and what names
    none is for training.
    """
    files = list(files)
    stems = {file: Path(plain_name(file.name)).stem for file in files}
    stems = {file: re.sub(r"-\d+-of-\d+$", "", stem) for file, stem in stems.items()}
    plain = path.is_dir() and any(stem in _NAMES for stem in stems.values())
    found: dict[str, list[Table]] = {}
    for file, stem in stems.items():
        folders = file.relative_to(path).parts[:-1][::-1] if path.is_dir() else ()
        split = stem if plain else split_named((stem, *folders))
        found.setdefault(split, []).append(open_table(file, columns))
    return found


def split_named(names: Iterable[str]) -> str:
    """The split that names have in them, the first one; ``train`` if they have none."""
    return next((match[1] for name in names if (match := _WORD.search(name.lower()))), "train")


def _is_possible(path: Path) -> bool:
    """Whether a file may be one of records: its name says so, or nothing."""
    return path.is_file() and (is_table(path) or not Path(plain_name(path.name)).suffix)


def _first(path: Path, columns: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        return open_table(path, columns).first()
    except MalformedFileError:
        return {}
