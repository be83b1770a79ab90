"""A place where datasets are looked up by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ance_ir.datasets.dataset import Dataset
from ance_ir.files import as_path, data_folder


@dataclass(frozen=True, kw_only=True)
class Source:
    """A place where datasets are looked up by name.

    Attributes:
        order: sources are asked in ascending order; the first that has a dataset of a name opens it.
        open: the dataset of a name; ``None`` if the source has none. It reads nothing of it yet.
        names: the names to show.
        more: names that are too many to show, for suggestions alone.
    """

    order: int
    open: Callable[[str], Dataset | None]
    names: Callable[[], Iterable[str]]
    more: Callable[[], Iterable[str]] = tuple


def find_path(name: str) -> Path | None:
    """The file or folder of a name: a path, or a name under ``$ANCE_IR_DATA``; a folder before a file."""
    data = data_folder()
    places = [as_path(name), *([data / name] if data else [])]
    found = [place for place in places if place.exists()]
    return next((place for place in found if place.is_dir()), next(iter(found), None))
