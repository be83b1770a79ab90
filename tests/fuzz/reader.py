"""What it takes to try a reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["json", "array", "bytes", "lines"]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Something that reads a folder.

    Attributes:
        name: what it reads, for people.
        make: writes what is valid into an empty folder.
        files: those that are damaged, and what they are.
        read: reads all that is there.
        apart: whether to read in a process of its own, since it may end.
    """

    name: str
    make: Callable[[Path], Any]
    files: dict[str, Kind]
    read: Callable[[Path], Any]
    apart: bool = False
