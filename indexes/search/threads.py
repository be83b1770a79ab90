"""Work on a CPU that is dealt to threads: numpy releases Python's lock where it computes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_threads(work: Sequence[Callable[[], T]]) -> list[T]:
    """Do several things at the same time, the first of them in the calling thread; what they return, in their order."""
    others = [_helpers(os.getpid()).submit(one) for one in work[1:]]
    return [*(one() for one in work[:1]), *(other.result() for other in others)]


def deal(start: int, stop: int, shares: int) -> list[slice]:
    """Consecutive parts of a range, whose sizes differ by one at most."""
    borders = [start + (stop - start) * share // shares for share in range(shares + 1)]
    return [slice(*borders[share : share + 2]) for share in range(shares)]


@functools.cache
def _helpers(process: int) -> ThreadPoolExecutor:
    """The threads of a process, by its number: one that was forked has none of those that its parent started."""
    return ThreadPoolExecutor(thread_name_prefix=f"search-{process}")
