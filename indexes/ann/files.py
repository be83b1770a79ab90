"""Reading Faiss's files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss

_TABLES = (2 << 30) + 64
"""Faiss computes tables of up to 2 GiB from what it reads, and counts them in."""

_LIMITS = ("deserialization_vector_byte_limit", "deserialization_loop_limit")


def read_faiss(path: Path) -> Any:
    """The Faiss index in a file, loaded: where Faiss maps a file that was cut short, it ends the process.

    Raises:
        OSError: there is no such file.
        ValueError: Faiss cannot read it.
    """
    with _limited(path.stat().st_size):
        try:
            return faiss.read_index(str(path))
        except (RuntimeError, MemoryError) as error:
            raise ValueError(str(error).rstrip().rpartition("\n")[2][-200:]) from error


@contextlib.contextmanager
def _limited(size: int) -> Iterator[None]:
    """While entered, Faiss makes room for no more than a file of that size can hold, whatever it says; older versions know no limit."""
    before = {name: getattr(faiss, f"get_{name}")() for name in _LIMITS if hasattr(faiss, f"get_{name}")}
    try:
        for name in before:
            getattr(faiss, f"set_{name}")(max(size, _TABLES))
        yield
    finally:
        for name, limit in before.items():
            getattr(faiss, f"set_{name}")(limit)
