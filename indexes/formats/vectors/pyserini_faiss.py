"""Faiss directory of Pyserini: index (a Faiss file), docid (one id a line)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from ance_ir.arrays import map_bytes
from ance_ir.errors import DamagedIndexError, IndexingError
from ance_ir.indexes.ann.files import read_faiss
from ance_ir.indexes.formats.batches import Batch, id_lines, with_ids
from ance_ir.indexes.formats.format import Format

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 256 << 20
_FLAT, _BEGINS, _NTOTAL, _SIZE = b"IxFI", 45, 8, 37
"""An ``IndexFlatIP``: its first bytes, and the positions of its vectors and, as int64, of their count and the count of their values."""

_EXACT = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSW, faiss.IndexNSG)
"""Classes that hold vectors exactly, or have an inner index that does."""

_READABLE = (faiss.IndexFlatCodes, faiss.IndexHNSW, faiss.IndexNSG, faiss.IndexIVF, faiss.IndexPreTransform)
"""Classes that reconstruct vectors by position. Others end the process when asked (ids of their own, 4-bit codes in lists)."""


def read(source: Path, rows: int) -> Iterator[Batch]:
    """The vectors that the Faiss index reconstructs; those of an ``IndexFlatIP`` are mapped, not loaded.

    Raises:
        IndexingError: there are no ids or too few, the index's metric is not the inner product, or it cannot reconstruct vectors.
        DamagedIndexError: Faiss cannot read the file.
    """
    folder = source if source.is_dir() else source.parent
    flat = _flat(folder / "index")
    if flat is not None:
        return with_ids(folder / "docid", (flat[first : first + rows] for first in range(0, len(flat), rows)), len(flat))
    index = _open(folder / "index")
    if not all(isinstance(kind, _EXACT) for kind in _kinds(index)):
        logger.warning("%s: %s reconstructs its vectors approximately", folder / "index", type(index).__name__)
    return with_ids(folder / "docid", _blocks(folder / "index", index, rows), index.ntotal)


def write(folder: Path, batches: Iterable[Batch]) -> None:
    """Write an ``IndexFlatIP`` without holding it: Faiss's own header, then the vectors."""
    total = dimension = 0
    with (folder / "index").open("wb") as index, (folder / "docid").open("w", encoding="utf-8", newline="\n") as docid:
        index.write(_header(0, 0))
        for ids, vectors in batches:
            docid.write(id_lines(ids))
            index.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            total, dimension = total + len(vectors), vectors.shape[1]
        index.seek(0)
        index.write(_header(dimension, total))


def _flat(path: Path) -> np.ndarray | None:
    """The vectors of an ``IndexFlatIP``, mapped; ``None`` where the file is another index."""
    if not path.exists():
        raise IndexingError(f"{path}: a Faiss file was expected; there is none")
    with path.open("rb") as stream:
        header = stream.read(_BEGINS)
    if not header.startswith(_FLAT) or len(header) < _BEGINS:
        return None
    dimension = int.from_bytes(header[4:8], "little", signed=True)
    total, values = (int.from_bytes(header[place : place + 8], "little", signed=True) for place in (_NTOTAL, _SIZE))
    size = path.stat().st_size
    if dimension < 1 or total < 0 or values != total * dimension or size != _BEGINS + 4 * values:
        raise DamagedIndexError(f"{path}: {total:,} vectors of {dimension} dimensions in {size:,} bytes; download or build it again")
    pages = map_bytes(path, error=DamagedIndexError, remedy="download or build it again")
    return np.frombuffer(pages, "<f4", values, _BEGINS).reshape(total, dimension)


def _open(path: Path) -> Any:
    try:
        index = read_faiss(path)
    except ValueError as error:
        raise DamagedIndexError(f"{path}: Faiss cannot read it, so it is damaged or of another kind; download or build it again") from error
    if not 0 < index.d <= path.stat().st_size:
        raise DamagedIndexError(f"{path}: {index.d} dimensions in {path.stat().st_size:,} bytes; download or build it again")
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise IndexingError(f"{path}: an index of inner products is expected, but this one compares by a distance")
    for kind in _kinds(index):
        if not isinstance(kind, _READABLE) or isinstance(kind, faiss.IndexIVFFastScan):
            raise _no_way_back(path, kind)
    return index


def _no_way_back(path: Path, index: Any) -> IndexingError:
    return IndexingError(f"{path}: {type(index).__name__} cannot reconstruct its vectors; a flat index can")


def _kinds(index: Any) -> list[Any]:
    """A Faiss index and its inner indexes that hold vectors, the innermost last."""
    index = faiss.downcast_index(index)
    inner = getattr(index, "storage", None) or getattr(index, "index", None)
    return [index, *_kinds(inner)] if isinstance(inner, faiss.Index) else [index]


def _blocks(path: Path, index: Any, rows: int) -> Iterator[np.ndarray]:
    rows = max(1, min(rows, _BLOCK_BYTES // (4 * index.d)))
    for first in range(0, index.ntotal, rows):
        # vectors that Faiss leaves out, those with ids of their own, remain NaN
        block = np.full((min(rows, index.ntotal - first), index.d), np.nan, dtype=np.float32)
        try:
            index.reconstruct_n(first, len(block), block)
        except RuntimeError as error:
            raise _no_way_back(path, index) from error
        yield block


def _header(dimension: int, total: int) -> bytes:
    header = bytearray(faiss.serialize_index(faiss.IndexFlatIP(dimension)).tobytes())
    for place, number in ((_NTOTAL, total), (_SIZE, total * dimension)):
        header[place : place + 8] = number.to_bytes(8, "little")
    return bytes(header)


FORMAT = Format(patterns=("index", "docid"), marker="docid", read=read, write=write)
