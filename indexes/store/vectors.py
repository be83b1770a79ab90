"""Vectors on disk: ``npy`` shards, float16 or float32, memory-mapped when read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from ance_ir.arrays import read_header, save_array
from ance_ir.choices import check_choice
from ance_ir.digests import hash_files
from ance_ir.errors import DamagedIndexError, IndexingError

VectorType = Literal["float16", "float32"]

SHARD_BYTES = 256 << 20
"""Bytes of a shard; also the memory that writing takes."""

_JOINED = 1024
"""Rows; a block that would end earlier, at the end of its shard, continues in the next one."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A file of vectors: its name, number of rows and checksum."""

    file: str
    rows: int
    checksum: str

    @classmethod
    def of(cls, path: Path, rows: int) -> Shard:
        """The shard in a complete file."""
        return cls(file=path.name, rows=rows, checksum=hash_files([path]))


def checked_vectors(vectors: np.ndarray, dtype: np.dtype[Any], docno: Callable[[int], str]) -> tuple[np.ndarray, float]:
    """Vectors ``[n, D]`` as they are stored, and their largest norm.

    Args:
        vectors: float.
        dtype: of the store.
        docno: gives the docno of a row, for errors.

    Raises:
        IndexingError: a vector is not finite, or too large for float16.
    """
    with np.errstate(over="ignore"):  # an overflow shows as an infinite value, reported below
        vectors = vectors.astype(dtype, copy=False)
        norms = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
    refused = np.flatnonzero(~np.isfinite(norms))
    if len(refused):
        hint = "; float32 may hold the values" if dtype == np.float16 else ""
        raise IndexingError(
            f"document {docno(int(refused[0]))!r}: its vector, or its length, is infinite or not a number, as {dtype}{hint} "
            f"({len(refused)} of {len(vectors)} vectors read together are)"
        )
    return vectors, float(norms.max(initial=0))


class VectorWriter:
    """Appends vectors to shards in a folder.

    Args:
        folder: an existing folder.
        dtype: ``"float32"`` or ``"float16"``.
        shard_bytes: size of a shard.
        first: number of the first shard.
    """

    def __init__(self, folder: Path, dtype: VectorType = "float32", shard_bytes: int = SHARD_BYTES, *, first: int = 0) -> None:
        check_choice("type of vectors", dtype, get_args(VectorType))
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.shard_bytes = shard_bytes
        self.first = first
        self.shards: list[Shard] = []
        self.largest_norm = 0.0
        self._buffer = np.zeros((0, 0), dtype=self.dtype)
        self._filled = 0

    def append(self, vectors: np.ndarray, docnos: Sequence[str] = ()) -> None:
        """Add rows, ``[n, D]``.

        Args:
            vectors: the rows.
            docnos: of the rows, for errors; by default rows are named by their numbers.

        Raises:
            IndexingError: a vector is not finite, of another dimension, or too large for float16.
        """
        if len(vectors) == 0:
            return
        if self._buffer.shape[1] == 0:
            rows = max(1, self.shard_bytes // (self.dtype.itemsize * vectors.shape[1]))
            self._buffer = np.empty((rows, vectors.shape[1]), dtype=self.dtype)
        if vectors.shape[1] != self._buffer.shape[1]:
            raise IndexingError(f"vectors of {vectors.shape[1]} dimensions after vectors of {self._buffer.shape[1]}")
        vectors, largest = checked_vectors(vectors, self.dtype, lambda row: docnos[row] if docnos else f"number {row}")
        self.largest_norm = max(self.largest_norm, largest)
        while len(vectors):
            part = vectors[: len(self._buffer) - self._filled]
            self._buffer[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            vectors = vectors[len(part) :]
            if self._filled == len(self._buffer):
                self._flush()

    def finish(self) -> dict[str, Any]:
        """Write the last shard; returns the part of the manifest that describes the vectors."""
        if self._filled:
            self._flush()
        return {
            "dimension": int(self._buffer.shape[1]),
            "dtype": self.dtype.name,
            "vectors": sum(shard.rows for shard in self.shards),
            "largest_norm": self.largest_norm,
            "shards": [asdict(shard) for shard in self.shards],
        }

    def _flush(self) -> None:
        path = self.folder / f"vectors-{self.first + len(self.shards):05d}.npy"
        save_array(path, self._buffer[: self._filled])
        self.shards.append(Shard.of(path, self._filled))
        self._filled = 0


class VectorStore:
    """Vectors on disk, read through memory maps.

    Args:
        folder: of the shards.
        manifest: the result of ``VectorWriter.finish``.

    Raises:
        DamagedIndexError: a shard is missing, or its shape is not the one in the manifest.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.dimension = int(manifest["dimension"])
        self.dtype = np.dtype(manifest["dtype"])
        self.largest_norm = float(manifest["largest_norm"])
        self.folder = folder
        self.shards = [Shard(file=shard["file"], rows=shard["rows"], checksum=shard["checksum"]) for shard in manifest["shards"]]
        self._starts = np.cumsum([0, *(shard.rows for shard in self.shards)])
        self._maps = [self._open(shard) for shard in self.shards]

    def _open(self, shard: Shard) -> np.ndarray:
        path = self.folder / shard.file
        try:
            array = _map(path)
        except (OSError, ValueError, RuntimeError) as error:
            raise DamagedIndexError(f"{path}: the shard cannot be read ({error}); build the index again") from error
        if array.shape != (shard.rows, self.dimension) or array.dtype != self.dtype:
            found = f"{array.shape} {array.dtype}"
            raise DamagedIndexError(f"{path}: expected {(shard.rows, self.dimension)} {self.dtype}, found {found}; build the index again")
        return array

    def __len__(self) -> int:
        return int(self._starts[-1])

    def blocks(self, rows: int, first: int = 0, end: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """First row and vectors as stored, ``[≤ rows, D]``, of consecutive blocks, of all rows or those from ``first`` up to ``end``.

        Most end where their shards end.
        """
        end = len(self) if end is None else end
        least = min(rows, _JOINED)
        while first < end:
            end_of_shard = int(self._starts[np.searchsorted(self._starts, first, side="right")])
            last = min(first + rows, max(end_of_shard, first + least), end)  # only joined blocks are copies
            shards = range(np.searchsorted(self._starts, first, side="right") - 1, np.searchsorted(self._starts, last))
            parts = [self._maps[shard][max(0, first - self._starts[shard]) : last - self._starts[shard]] for shard in shards]
            yield first, parts[0] if len(parts) == 1 else np.concatenate(parts)
            first = last

    def get(self, rows: np.ndarray) -> np.ndarray:
        """Vectors of the given rows, float32 ``[len(rows), D]``."""
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        if len(rows) and shard_of.min() == shard_of.max():
            found: np.ndarray = self._maps[shard_of[0]][rows - self._starts[shard_of[0]]].astype(np.float32, copy=False)
            return found
        vectors = np.empty((len(rows), self.dimension), dtype=np.float32)
        for shard in np.unique(shard_of):
            chosen = shard_of == shard
            vectors[chosen] = self._maps[shard][rows[chosen] - self._starts[shard]]
        return vectors


def _map(path: Path) -> np.ndarray:
    """An ``npy`` file as a read-only memory map of torch: each map of numpy would hold one of the few file descriptors."""
    header, kinds = read_header(path), {np.dtype(np.float32): torch.float32, np.dtype(np.float16): torch.float16}
    first, rest = divmod(header.begins, header.dtype.itemsize)
    if header.fortran_order or header.dtype not in kinds or rest:
        raise ValueError(f"{header.shape} {header.dtype} that begin with byte {header.begins}")
    numbers = torch.from_file(str(path), shared=False, size=first + header.size, dtype=kinds[header.dtype])
    array: np.ndarray = numbers.numpy()[first:].reshape(header.shape)
    array.flags.writeable = False
    return array
