"""Pools of worker processes, and what a process uses."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def usable_cpus() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> float:
    """Peak memory of this process, MiB; NaN where the system does not say."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8")) if status.exists() else None
    return int(found[1]) / 1024 if found else float("nan")


def process_pool(count: int, begin: Callable[..., None], material: tuple[Any, ...], preload: Sequence[str]) -> ProcessPoolExecutor:
    """A pool of processes that start on demand and end with this one, even if it is killed.

    They are forked from a process without threads that has imported what they need, so each takes little memory.

    Args:
        count: how many.
        begin: called once in each process.
        material: its arguments; they are pickled.
        preload: modules to import before processes are forked.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *preload])
    return ProcessPoolExecutor(count, mp_context=context, initializer=_enter, initargs=(begin, material))


def _enter(begin: Callable[..., None], material: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*material)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
