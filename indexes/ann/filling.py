"""Filling a Faiss index with the vectors of a store; inverted files that are larger than memory in pieces, which are joined in one file.

That file is the one that Faiss writes of an index filled in memory: what precedes the lists, their sizes, then the codes and ids of each.
"""

from __future__ import annotations

import math
import shutil
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from faiss.contrib.inspect_tools import get_invlist, get_invlist_sizes
from tqdm.auto import tqdm

from ance_ir.errors import IndexingError
from ance_ir.indexes.ann.files import read_faiss, write_faiss
from ance_ir.indexes.ann.layers import layers
from ance_ir.indexes.store.vectors import VectorStore

PIECE_BYTES = 512 << 20
"""Of codes and ids that are in memory while an inverted file is filled."""

_BLOCK_BYTES = 64 << 20


def fill(index: Any, store: VectorStore, folder: Path | None, *, until: float = math.inf, shown: str | None = None) -> list[Path]:
    """Add all vectors of a store to a trained index that is empty.

    Args:
        index: the index.
        store: the vectors.
        folder: for pieces; without it, all stays in memory.
        until: when it must be done, by ``time.monotonic``.
        shown: what a bar of progress says; no bar by default.

    Returns:
        The pieces that were written, for ``join_pieces``, while the index keeps none of its vectors; empty where all are in memory.

    Raises:
        IndexingError: it would not be done in time, judged by the vectors that were added; or the disk has no room for the pieces and the
            file that they are joined in.
    """
    pieces: list[Path] = []
    began = time.monotonic()
    rows = _rows_of_piece(index) if folder is not None else None
    held = 0
    with tqdm(total=len(store), desc=shown, unit=" vectors", disable=shown is None) as bar:
        for first, vectors in store.blocks(max(1, _BLOCK_BYTES // (4 * store.dimension))):
            index.add(np.ascontiguousarray(vectors, dtype=np.float32))
            bar.update(len(vectors))
            held += len(vectors)
            done = first + len(vectors)
            if done < len(store) and began + (time.monotonic() - began) * len(store) / done > until:
                raise IndexingError(f"it would not have been built in time: {done:,} of {len(store):,} vectors were added")
            if folder is not None and rows is not None and (pieces if done == len(store) else held >= rows):
                if not pieces:
                    _check_room(index, len(store), folder)
                pieces.append(folder / f"{len(pieces)}.index")
                write_faiss(index, pieces[-1])
                _empty_lists(_last(index))
                held = 0
    return pieces


def join_pieces(index: Any, pieces: Sequence[Path], path: Path) -> None:
    """Write an index whose lists are in pieces; takes the memory of one list, and twice the index's size on disk.

    Args:
        index: as ``fill`` left it.
        pieces: from ``fill``.
        path: of the file.
    """
    last = _last(index)
    opened = [read_faiss(piece, mapped=True) for piece in pieces]
    lists = [_last(one).invlists for one in opened]
    sizes = np.sum([get_invlist_sizes(one) for one in lists], axis=0, dtype=np.uint64)
    with path.open("wb") as stream:
        stream.write(faiss.serialize_index(index).tobytes().removesuffix(_no_lists(last)))
        stream.write(_head_of_lists(last, b"full", last.nlist) + sizes.tobytes())
        for number in range(last.nlist):
            parts = [get_invlist(one, number) for one in lists]
            stream.writelines(codes.tobytes() for _, codes in parts)
            stream.writelines(ids.tobytes() for ids, _ in parts)


def _rows_of_piece(index: Any) -> int | None:
    """Vectors in a piece of an empty index; ``None`` where it is no inverted file, or one whose file does not end with its lists."""
    last = _last(index)
    if not isinstance(last, faiss.IndexIVF) or not faiss.serialize_index(index).tobytes().endswith(_no_lists(last)):
        return None
    return max(1, PIECE_BYTES // (int(last.code_size) + 8))


def _check_room(index: Any, rows: int, folder: Path) -> None:
    needed, free = 2 * rows * (int(_last(index).code_size) + 8), shutil.disk_usage(folder).free
    if needed > free:
        raise IndexingError(
            f"{folder.parent}: {needed / 1e9:,.1f} GB of disk are needed to build it in pieces, {free / 1e9:,.1f} GB are free; make room, "
            "or choose a family with smaller codes (+sq8, pq)"
        )


def _last(index: Any) -> Any:
    *_, last = layers(index)
    return last


def _empty_lists(layer: Any) -> None:
    """Drop the vectors of an inverted file, which goes on counting them."""
    lists = faiss.ArrayInvertedLists(layer.nlist, layer.code_size)
    layer.replace_invlists(lists, True)
    lists.this.disown()


def _no_lists(layer: Any) -> bytes:
    """How the file of an inverted file without vectors ends."""
    return _head_of_lists(layer, b"sprs", 0)


def _head_of_lists(layer: Any, form: bytes, sizes: int) -> bytes:
    """What precedes the sizes of lists in a file: ``full``, of every list, or ``sprs``, of those that are not empty."""
    return struct.pack("<4sQQ4sQ", b"ilar", layer.nlist, layer.code_size, form, sizes)
