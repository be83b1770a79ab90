"""Processes that read and tokenise texts while the model computes.

The thread of ``encoding.tokenized`` is enough on few cores: tokenisers leave Python's lock, and spread a list of texts over cores by
themselves. With a fast GPU and many cores it may not keep up; several processes have several locks. What goes to a process is which texts
to read, what comes back are flat arrays (``Tokens``). Vectors are the same to the bit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, TypeVar

import torch

from ance_ir.errors import IndexingError, UsageError
from ance_ir.models.compute.inference import by_device
from ance_ir.models.dense.encoding import LOOK_AHEAD, ahead
from ance_ir.models.text.tokens import Tokens
from ance_ir.processes import process_pool, usable_cpus

P = TypeVar("P")

_WORTH = 20_000
"""Texts that a GPU encodes in about the time that processes take to start."""

_cutter: Callable[[Any], Tokens]
"""In a worker: what it cuts with."""


class Workers(Generic[P]):
    """Cut texts into passages while they are entered; started when they are needed, and ended with this process, even if it is killed.

    Args:
        cut: makes tokens of a piece, such as the numbers of documents that it reads; it is pickled.
        count: how many processes.

    Raises:
        UsageError: fewer than one.
    """

    def __init__(self, cut: Callable[[P], Tokens], count: int) -> None:
        if count < 1:
            raise UsageError(f"at least 1 process tokenises, not {count}")
        self._cut = cut
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers[P]:
        self._pool = process_pool(self._count, _begin, (self._cut,), [__name__, type(self._cut).__module__])
        return self

    def __exit__(self, *error: object) -> None:
        assert self._pool is not None
        self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def tokenized(self, pieces: Iterable[P], device: torch.device) -> Generator[Tokens]:
        """Tokens of pieces, in order; see ``encoding.tokenized``.

        Args:
            pieces: taken as they are needed; they are pickled.
            device: where vectors will be computed, which decides how many pieces are cut ahead.

        Raises:
            IndexingError: a worker was ended from outside. Its own exceptions are raised here.
        """
        depth = max(by_device(LOOK_AHEAD, device), 2 * self._count)
        try:
            with contextlib.closing(ahead(_cut, pieces, depth, self._pool)) as made:
                yield from made
        except BrokenProcessPool as error:
            raise IndexingError(
                "a process that tokenises was ended from outside, perhaps because memory ran out; try again with fewer, or without"
            ) from error


def workers_for(device: torch.device, texts: int) -> int:
    """How many processes to tokenise with: on a GPU one for each processor, if the texts are worth starting them; otherwise none.

    Args:
        device: where vectors will be computed.
        texts: how many there are.
    """
    if device.type != "cuda" or texts < _WORTH:
        return 0
    return max(1, usable_cpus() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))  # torchrun's processes share the processors


def _begin(cut: Callable[[Any], Tokens]) -> None:
    global _cutter
    _cutter = cut
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism


def _cut(piece: Any) -> Tokens:
    return _cutter(piece)
