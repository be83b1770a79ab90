"""Parts of a corpus: those that this process encodes, one after the other, and how they are written."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypedDict

import numpy as np

from ance_ir.arrays import growing_array, save_array
from ance_ir.files import write_json
from ance_ir.indexes.store.vectors import Shard, checked_vectors
from ance_ir.models.text.tokens import Tokens

Blocks = Iterable[tuple[np.ndarray, np.ndarray, int]]
"""Of documents that follow one another: vectors ``[passages, D]``, passages of each, int64 ``[documents]``, and how many were encoded."""


class Part(TypedDict):
    """What ``part-00003.json`` holds: the file of its vectors, the largest norm of one, and how many documents were encoded for it."""

    shard: Shard
    largest_norm: float
    encoded: int


def write_part(
    folder: Path,
    part: int,
    first: int,
    blocks: Blocks,
    dimension: int,
    dtype: np.dtype[np.floating],
    docno: Callable[[int], str],
    done: Callable[[int], object],
) -> None:
    """Write the files of a part, the one that says that it is complete last.

    Args:
        folder: of the index.
        part: its number.
        first: the number of its first document.
        blocks: its documents.
        dimension: of a vector.
        dtype: how vectors are stored.
        docno: of the document of a number, for errors.
        done: called with the number of documents of each block that is written.

    Raises:
        IndexingError: a vector is not finite.
    """
    path = folder / f"vectors-{part:05d}.npy"
    counts: list[np.ndarray] = []
    largest, encoded, documents = 0.0, 0, 0
    with growing_array(path, dimension, dtype) as append:
        for block_PD, block_counts, block_encoded in blocks:
            vectors_PD, norm = checked_vectors(block_PD, dtype, partial(_owner, docno, first + documents, np.cumsum(block_counts)))
            append(vectors_PD)
            counts.append(block_counts)
            largest, encoded, documents = max(largest, norm), encoded + block_encoded, documents + len(block_counts)
            done(len(block_counts))
    passages = np.concatenate(counts)
    save_array(folder / f"counts-{part:05d}.npy", passages)
    shard = Shard.of(path, int(passages.sum()))
    write_json(folder / f"part-{part:05d}.json", {"shard": dataclasses.asdict(shard), "largest_norm": largest, "encoded": encoded})


def _owner(docno: Callable[[int], str], first: int, ends: np.ndarray, row: int) -> str:
    """The docno of a row of a block; ``first`` is the block's first document, ``ends`` are the ends of its documents."""
    return docno(first + int(np.searchsorted(ends, row, "right")))


def claimed_parts(
    parts: Iterable[int],
    claim: Callable[[int], contextlib.ExitStack | None],
    pieces: Callable[[int], Iterable[np.ndarray]],
    tokenized: Callable[[Iterator[np.ndarray]], Generator[Tokens]],
) -> Generator[tuple[int, Generator[Tokens]]]:
    """The parts that are free, each with the tokens of its documents, which are read before the next part is taken.

    A part is claimed once the last piece before it is about to be cut, and given up when the next one is taken, or the generator closed.

    Args:
        parts: in their order.
        claim: takes what shows that a part is this process's, or ``None`` where it is not free.
        pieces: of a part, at least one; see ``Cutting``.
        tokenized: cuts pieces ahead; see ``encoding.tokenized``.
    """
    held: deque[tuple[int, int, contextlib.ExitStack]] = deque()

    def of_all() -> Iterator[np.ndarray]:
        for part in parts:
            lock = claim(part)
            if lock is not None:
                some = list(pieces(part))
                held.append((part, len(some), lock))
                yield from some

    try:
        with contextlib.closing(tokenized(of_all())) as tokens:
            for first in tokens:
                part, count, lock = held[0]
                with lock:
                    yield part, (piece for piece in chain([first], islice(tokens, count - 1)))
                held.popleft()
    finally:
        for *_, lock in held:
            lock.close()
