"""Reading and writing Faiss's files."""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss

_COUNTED = {"precomputed_table": (2 << 30) + 64, "d_in * d_out": 1 << 28}
"""Bytes that Faiss counts in addition to those of a file, by a word of its error: tables of up to 2 GiB that it computes from product
quantisers, and a matrix for each change of dimensions, which cutting and normalising do not need."""

_LIMITS = ("deserialization_vector_byte_limit", "deserialization_loop_limit")


def read_faiss(path: Path, *, mapped: bool = False) -> Any:
    """The Faiss index in a file.

    A mapped one is read as it is searched, vectors, codes, lists and graphs, and processes share it; only codes of 4 bits that Faiss
    scans in blocks (``PQ8x4fs``) are loaded. Faiss maps on Linux alone; elsewhere the whole file is loaded. That is for our own files: of
    those that others altered, mapping can end the process.

    Raises:
        OSError: there is no such file.
        ValueError: Faiss cannot read it.
    """
    limit = path.stat().st_size
    while True:
        try:
            return _read(path, limit, faiss.IO_FLAG_MMAP_IFC if mapped and sys.platform == "linux" else 0)
        except ValueError as error:
            more = next((most for word, most in _COUNTED.items() if word in str(error)), 0)
            if more <= limit:
                raise
            limit = more


def _read(path: Path, limit: int, flags: int) -> Any:
    with _limited(limit):
        try:
            return faiss.read_index(str(path), flags)
        except (RuntimeError, MemoryError) as error:
            raise ValueError(str(error).rstrip().rpartition("\n")[2][-200:]) from error


@contextlib.contextmanager
def _limited(limit: int) -> Iterator[None]:
    """While entered, Faiss allocates at most so many bytes in one step, even if a file asks for more."""
    before = {name: getattr(faiss, f"get_{name}")() for name in _LIMITS}
    try:
        for name in before:
            getattr(faiss, f"set_{name}")(limit)
        yield
    finally:
        for name, one in before.items():
            getattr(faiss, f"set_{name}")(one)


def write_faiss(index: Any, path: Path) -> None:
    """Write a Faiss index.

    Raises:
        OSError: Faiss could not write it.
    """
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # the only error that Faiss has
        raise OSError(errno.ENOSPC, f"Faiss could not write it ({error})", str(path)) from error
