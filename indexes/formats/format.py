"""What a format of vectors is."""

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
        marker: a file that every folder in this format has once written.
        read: from a file or folder and the rows of a batch to batches, float vectors of any type.
        write: writes batches into an empty folder.
    """

    patterns: tuple[str, ...]
    marker: str
    read: Callable[[Path, int], Iterator[Batch]]
    write: Callable[[Path, Iterable[Batch]], None]
