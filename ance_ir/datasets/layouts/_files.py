"""The files of a layout's parts: names, splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from ance_ir.errors import DatasetError

COMPRESSED = r"(?:\.(?:gz|bz2|xz|zst|zip))?"
"""Pattern of the ending of a compressed file."""


def find_file(folder: Path, name: str) -> Path | None:
    """The file of a name in a folder, plain or compressed; ``folder`` itself if it is such a file.

    Raises:
        DatasetError: it is there twice.
    """
    named = re.compile(re.escape(name) + COMPRESSED)
    if folder.is_file():
        return folder if named.fullmatch(folder.name) else None
    found = [path for path in sorted(folder.glob(f"{name}*")) if named.fullmatch(path.name) and path.is_file()]
    if len(found) > 1:
        raise DatasetError(f"{folder} has both {found[0].name} and {found[1].name}: remove one of them")
    return found[0] if found else None


def of_splits(folder: Path, *patterns: str) -> dict[str, Path]:
    """The files of a folder whose whole names match one of the patterns, plain or compressed, by the pattern's group ``split``; a group
    ``year`` is the split ``trec-dl-YEAR``.

    Raises:
        DatasetError: two files are of the same split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        groups = next((match.groupdict() for match in (re.fullmatch(each + COMPRESSED, path.name) for each in patterns) if match), None)
        if groups is None or not path.is_file():
            continue
        split = groups.get("split") or f"trec-dl-{groups['year']}"
        if (first := found.setdefault(split, path)) != path:
            raise DatasetError(f"{folder} has both {first.name} and {path.name} for the split {split!r}: remove one of them")
    return found


def judged(queries: Callable[[], Iterable[tuple[str, str]]], qrels: Callable[[], pd.DataFrame]) -> Iterator[tuple[str, str]]:
    """The queries that the judgements of a split name, of those of all splits, in their order."""
    qids = set(qrels()["qid"])
    return ((qid, text) for qid, text in queries() if qid in qids)


def judged_splits(
    queries: Callable[[], Iterable[tuple[str, str]]], qrels: Mapping[str, Callable[[], pd.DataFrame]]
) -> dict[str, Callable[[], Iterable[tuple[str, str]]]]:
    """Readers of the queries of each split, where one file holds those of all; without judgements they are the split ``test``."""
    return {split: partial(judged, queries, read) for split, read in qrels.items()} or {"test": queries}


def plain_name(name: str) -> str:
    """A file's name without the ending of a compression."""
    return re.sub(COMPRESSED + "$", "", name)
