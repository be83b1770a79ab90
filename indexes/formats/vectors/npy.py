"""Plain arrays: *.npy, and ids.txt or docnos.txt (one id a line)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ance_ir.arrays import map_array
from ance_ir.errors import IndexingError
from ance_ir.indexes.formats.batches import Batch, id_lines, with_ids
from ance_ir.indexes.formats.format import Format

_FLOATS = ("float16", "float32", "float64")
_IDS = ("ids.txt", "docnos.txt")


def read(source: Path, rows: int) -> Iterator[Batch]:
    """The vectors of the file, or of the folder's ``*.npy`` in the order of their numbers; mapped, not loaded, and never unpickled.

    Raises:
        IndexingError: a file is not a two-dimensional array of floats, or there are no ids or too few.
    """
    folder = source if source.is_dir() else source.parent
    files = [source] if source.is_file() else sorted(folder.glob("*.npy"), key=_natural)
    if not files:
        raise IndexingError(f"{folder}: files with names in .npy were expected; there is none")
    arrays = [_map(file) for file in files]
    ids = next((folder / name for name in _IDS if (folder / name).exists()), folder / _IDS[0])
    blocks = (array[first : first + rows] for array in arrays for first in range(0, len(array), rows))
    return with_ids(ids, blocks, sum(map(len, arrays)))


def write(folder: Path, batches: Iterable[Batch]) -> None:
    """Write ``vectors.npy``, in the type of the given vectors, and ``ids.txt``."""
    total = 0
    with (folder / "vectors.npy").open("wb") as stream, (folder / _IDS[0]).open("w", encoding="utf-8", newline="\n") as names:
        for ids, vectors in batches:
            if not total:
                _write_header(stream, 0, vectors)
            names.write(id_lines(ids))
            stream.write(np.ascontiguousarray(vectors).data)
            total += len(vectors)
        if total:
            stream.seek(0)
            _write_header(stream, total, vectors)


def _write_header(stream: IO[bytes], rows: int, like: np.ndarray) -> None:
    """The header of an array ``[rows, D]``; numpy leaves room in it for a larger number of rows."""
    header = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False, "shape": (rows, like.shape[1])}
    np.lib.format.write_array_header_1_0(stream, header)


def _natural(path: Path) -> list[tuple[int, str]]:
    """``part-2`` comes before ``part-10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _map(path: Path) -> np.ndarray:
    return map_array(path, _FLOATS, (None, None), error=IndexingError, remedy="write it again")


FORMAT = Format(patterns=("*.npy",), marker="ids.txt", read=read, write=write)
