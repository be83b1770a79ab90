"""Processes that tokenise texts while the model computes.

The thread of ``encoding.tokenized`` is enough on few cores: tokenisers leave Python's lock, and spread a list of texts over cores by
themselves. With a fast GPU and many cores it may not keep up; several processes have several locks. Vectors are the same to the bit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain

import numpy as np

from ance_ir.errors import IndexingError, UsageError
from ance_ir.models.dense.encoding import LOOK_AHEAD, ahead, as_arrays, pieces
from ance_ir.models.text.settings import PassageScheme, Text
from ance_ir.models.text.tokenizing import TextTokenizer
from ance_ir.processes import process_pool

_cutter: tuple[TextTokenizer, PassageScheme]
"""In a worker: what it cuts with."""


class Workers:
    """Cut texts into passages while they are entered; started when they are needed, and ended with this process, even if it is killed.

    Args:
        tokenizer: makes tokens of texts.
        scheme: how texts are cut.
        count: how many processes.

    Raises:
        UsageError: fewer than one.
    """

    def __init__(self, tokenizer: TextTokenizer, scheme: PassageScheme, count: int) -> None:
        if count < 1:
            raise UsageError(f"at least 1 process tokenises, not {count}")
        self._cutter = (tokenizer, scheme)
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        self._pool = process_pool(self._count, _begin, self._cutter, [type(one).__module__ for one in self._cutter])
        return self

    def __exit__(self, *error: object) -> None:
        assert self._pool is not None
        self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def tokenized(self, texts: Iterable[Text]) -> Generator[Sequence[np.ndarray]]:
        """Token ids of the passages of each text, int32, in order; see ``encoding.tokenized``.

        Raises:
            IndexingError: a worker was ended from outside. Its own exceptions are raised here.
        """
        depth = max(LOOK_AHEAD, 2 * self._count)
        try:
            with contextlib.closing(ahead(_cut, pieces(texts), depth, self._pool)) as made:
                yield from chain.from_iterable(made)
        except BrokenProcessPool as error:
            raise IndexingError(
                "a process that tokenises was ended from outside, perhaps because memory ran out; try again with fewer, or without"
            ) from error


def _begin(tokenizer: TextTokenizer, scheme: PassageScheme) -> None:
    global _cutter
    _cutter = (tokenizer, scheme)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism


def _cut(piece: list[Text]) -> list[list[np.ndarray]]:
    tokenizer, scheme = _cutter
    return as_arrays(tokenizer.cut(piece, scheme))
