"""Vectors with their ids, in batches, on their way from one format to another.

Shapes: n rows, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ance_ir.datasets.ids import Ids, InvalidIdError
from ance_ir.datasets.parsing import clean_id
from ance_ir.errors import IndexingError
from ance_ir.reading import lines

Batch = tuple[np.ndarray, np.ndarray]
"""Ids, an object array of str ``[n]``, and their vectors, ``[n, D]``. Before ``checked`` an id is what the file has."""

BATCH = 4096
"""Rows of a batch: reading and writing hold so many in memory."""


def checked(source: Path, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches with their ids as text and their vectors as float32.

    Raises:
        IndexingError: an id that is not valid, no vector at all, or one that is infinite, not a number or of another dimension than the
            first.
    """
    dimension, rows = 0, 0
    names = Ids(source)
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
        cleaned: list[str] = []
        try:
            cleaned.extend(names.given(one, "id") for one in ids)
        except InvalidIdError as invalid:
            raise IndexingError(f"{source}, vector {rows + len(cleaned) + 1}: {invalid}") from None
        rows += len(cleaned)
        yield id_array(cleaned), vectors
    names.report()
    if not dimension:
        raise IndexingError(f"{source} holds no vector")


def with_ids(path: Path, blocks: Iterable[np.ndarray], count: int) -> Iterator[Batch]:
    """Blocks of vectors with their ids from a file of one id a line, in the same order.

    Raises:
        MalformedFileError: a line that is not an id.
        IndexingError: there is no such file, or it does not hold ``count`` ids.
    """
    if not path.exists():
        raise IndexingError(f"{path}: a file of {count:,} ids was expected, one a line; there is none")
    found = sum(1 for _ in lines(path))
    if found != count:
        raise IndexingError(f"{path}: {count:,} ids were expected, one a line for each vector, found {found:,}")
    checked_ids = Ids(path)
    ids = (clean_id(line, line.text, "id", checked_ids) for line in lines(path))
    for block in blocks:
        yield id_array(islice(ids, len(block))), block
    checked_ids.report()


def id_array(ids: Iterable[object]) -> np.ndarray:
    """An object array of the ids."""
    return np.array(list(ids), dtype=object)


def id_lines(ids: Iterable[str]) -> str:
    """The ids as lines of a file.

    Raises:
        IndexingError: an id that could not be read again: one with white space, which older indexes may have.
    """
    for one in ids:
        if one.split() != [one]:
            raise IndexingError(f"the format has one id a line, without white space; {one!r} does not fit")
    return "".join(f"{one}\n" for one in ids)
