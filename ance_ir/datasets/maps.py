"""Files as memory: read by the page, not held."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def map_array(path: Path) -> npt.NDArray[Any]:
    """The array of an ``npy`` file as a read-only memory map."""
    mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def map_bytes(path: Path) -> mmap.mmap:
    """The bytes of a file, which may not be empty, as a read-only memory map."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
