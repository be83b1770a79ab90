"""The files of a layout's parts: names, splits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ance_ir.compression import find_file, plain_name
from ance_ir.errors import DatasetError


def find_corpus(path: Path, name: str) -> Path | None:
    """The file of a name, plain or compressed: ``path`` itself, or one in that folder.

    Raises:
        DatasetError: the folder has more than one.
    """
    if path.is_file():
        return path if plain_name(path.name) == name else None
    return find_file(path, name)


def file_of_split(split: str, patterns: Sequence[str]) -> str:
    """The name that a file of a split would have, by the first of some patterns, as ``of_splits`` has them, that fits the split."""
    year = re.fullmatch(r"trec-dl-(20\d\d)", split)
    group, value = ("year", year[1]) if year and any("?P<year>" in pattern for pattern in patterns) else ("split", split)
    pattern = next(pattern for pattern in patterns if f"?P<{group}>" in pattern)
    pattern = re.sub(rf"\(\?P<{group}>(\(\?![^)]*\))?[^)]*\)", lambda _: value, pattern)
    return re.sub(r"\(\?:([^|)]*)[^)]*\)", r"\1", pattern).replace("\\", "")


def of_splits(folder: Path, *patterns: str) -> dict[str, Path]:
    """The files of a folder whose whole names match one of the patterns, plain or compressed, by the pattern's group ``split``; a group
    ``year`` is the split ``trec-dl-YEAR``. There are none where ``folder`` is a file.

    Raises:
        DatasetError: two files are of the same split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        groups = next((match.groupdict() for match in (re.fullmatch(each, plain_name(path.name)) for each in patterns) if match), None)
        if groups is None or not path.is_file():
            continue
        split = groups.get("split") or f"trec-dl-{groups['year']}"
        if (first := found.setdefault(split, path)) != path:
            raise DatasetError(f"{folder} has both {first.name} and {path.name} for the split {split!r}: remove one of them")
    return found
