"""Processes that work beside this one, each with a Python lock of its own."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def usable_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_pool(count: int, begin: Callable[..., None], material: tuple[Any, ...], preload: Sequence[str]) -> ProcessPoolExecutor:
    """Processes that start when they are needed, and end with this one, however that ends.

    They are forked from a process that has imported what they need and has no threads, so each takes little memory.

    Args:
        count: how many.
        begin: called once in each.
        material: its arguments; they are pickled.
        preload: names of the modules to import before processes are forked.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *preload])
    return ProcessPoolExecutor(count, mp_context=context, initializer=_enter, initargs=(begin, material))


def _enter(begin: Callable[..., None], material: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*material)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
