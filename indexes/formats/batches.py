"""Vectors with their ids on the way from one format to another.

Shapes: n rows, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ance_ir.datasets.parsing import lines
from ance_ir.errors import IndexingError

Batch = tuple[np.ndarray, np.ndarray]
"""Ids, an object array of str ``[n]``, and their vectors, ``[n, D]``."""

BATCH = 4096
"""Rows of a batch: what reading and writing hold in memory."""


def checked(source: Path, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches with their vectors as float32.

    Raises:
        IndexingError: an empty id, no vector at all, or one that is infinite, not a number or of another dimension than the first.
    """
    dimension = 0
    for ids, vectors in batches:
        with np.errstate(over="ignore"):  # an overflow shows as an infinite value
            vectors = vectors.astype(np.float32, copy=False)
        dimension = dimension or vectors.shape[1]
        if vectors.shape[1] != dimension or not dimension:
            raise IndexingError(
                f"{source}: the vector of {ids[0]!r} has {vectors.shape[1]} dimensions, {dimension or 'at least 1'} expected"
            )
        wrong = ~np.isfinite(vectors).all(axis=1)
        if wrong.any():
            raise IndexingError(f"{source}: the vector of {ids[wrong.argmax()]!r} is infinite or not a number (as float32)")
        if "" in ids:
            raise IndexingError(f"{source}: an empty id")
        yield ids, vectors
    if not dimension:
        raise IndexingError(f"{source} holds no vector")


def with_ids(path: Path, blocks: Iterable[np.ndarray], count: int) -> Iterator[Batch]:
    """Blocks of vectors with their ids from a file that has one a line, in the same order; space at the end of a line is no part of it.

    Raises:
        IndexingError: there is no such file, or it has not ``count`` ids.
    """
    if not path.exists():
        raise IndexingError(f"{path}: a file of {count:,} ids was expected, one a line; there is none")
    found = sum(1 for _ in lines(path))
    if found != count:
        raise IndexingError(f"{path}: {count:,} ids were expected, one a line for each vector, found {found:,}")
    ids = (line.text.rstrip() for line in lines(path))
    for block in blocks:
        yield id_array(islice(ids, len(block))), block


def id_array(ids: Iterable[str]) -> np.ndarray:
    """An object array of the ids."""
    return np.array(list(ids), dtype=object)


def id_lines(ids: Iterable[str]) -> str:
    """The ids as lines of a file.

    Raises:
        IndexingError: an id that would not come back: with a line break in it, or a space at its end.
    """
    for one in ids:
        if "\n" in one or "\r" in one or not one or one != one.rstrip():
            raise IndexingError(f"the format keeps one id a line, which {one!r} does not fit; embeddings-jsonl holds every id")
    return "".join(f"{one}\n" for one in ids)
