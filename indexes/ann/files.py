"""Reading Faiss's files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss

_COUNTED = {"precomputed_table": (2 << 30) + 64, "d_in * d_out": 1 << 28}
"""What Faiss counts in beyond the bytes of a file, by a word of its complaint: tables of up to 2 GiB that it computes from product
quantisers, and for each change of dimensions a matrix, which cutting and normalising do without."""

_LIMITS = ("deserialization_vector_byte_limit", "deserialization_loop_limit")


def read_faiss(path: Path) -> Any:
    """The Faiss index in a file, loaded: where Faiss maps a file that was cut short, it ends the process.

    Raises:
        OSError: there is no such file.
        ValueError: Faiss cannot read it.
    """
    limit = path.stat().st_size
    while True:
        try:
            return _read(path, limit)
        except ValueError as error:
            more = next((most for word, most in _COUNTED.items() if word in str(error)), 0)
            if more <= limit:
                raise
            limit = more


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
