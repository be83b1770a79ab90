"""Reading Faiss's files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss

_TABLES = (2 << 30) + 64
"""Faiss computes tables of up to 2 GiB from product quantisers that it reads, and counts them in."""

_LIMITS = ("deserialization_vector_byte_limit", "deserialization_loop_limit")


def read_faiss(path: Path) -> Any:
    """The Faiss index in a file, loaded: where Faiss maps a file that was cut short, it ends the process.

    Raises:
        OSError: there is no such file.
        ValueError: Faiss cannot read it.
    """
    size = path.stat().st_size
    try:
        return _read(path, size)
    except ValueError as error:
        if size >= _TABLES or "precomputed_table" not in str(error):
            raise
    return _read(path, _TABLES)


def _read(path: Path, limit: int) -> Any:
    with _limited(limit):
        try:
            return faiss.read_index(str(path))
        except (RuntimeError, MemoryError) as error:
            raise ValueError(str(error).rstrip().rpartition("\n")[2][-200:]) from error


@contextlib.contextmanager
def _limited(limit: int) -> Iterator[None]:
    """While entered, Faiss makes room for so many bytes at once, whatever a file says; older versions know no limit."""
    before = {name: getattr(faiss, f"get_{name}")() for name in _LIMITS if hasattr(faiss, f"get_{name}")}
    try:
        for name in before:
            getattr(faiss, f"set_{name}")(limit)
        yield
    finally:
        for name, one in before.items():
            getattr(faiss, f"set_{name}")(one)
