"""The type of the entries of ``ance_ir.registries.INDEX_FORMATS``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ance_ir.indexes.formats.batches import Batch


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a tool keeps vectors with their ids. The first line of the format's module names the tool and the files.

    Attributes:
        patterns: names of files by which the format is recognised, ``*`` standing for anything.
        marker: a file that every complete folder in this format has.
        read: gives batches from a file or folder, with so many rows at most; float vectors of any type.
        write: writes batches into an empty folder.
    """

    patterns: tuple[str, ...]
    marker: str
    read: Callable[[Path, int], Iterator[Batch]]
    write: Callable[[Path, Iterable[Batch]], None]
