"""Pools of worker processes, and what a process uses."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def usable_cpus() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_seconds() -> float:
    """Time that processors have worked for this process, its threads, and its children that have ended."""
    return time.process_time() + sum(os.times()[2:4])


def peak_memory() -> float:
    """Peak memory of this process, since ``forget_peak`` if that was called, MiB; NaN where the system does not say."""
    return _status("VmHWM")


def resident_memory() -> float:
    """Memory of this process, MiB; NaN where the system does not say."""
    return _status("VmRSS")


def anonymous_memory() -> float:
    """Memory of this process that is not that of files, MiB; NaN where the system does not say."""
    return _status("RssAnon")


@contextlib.contextmanager
def watched_memory() -> Iterator[list[float]]:
    """While entered, collects ``anonymous_memory``, from the first moment to the last."""
    seen, ended = [anonymous_memory()], threading.Event()

    def watch() -> None:
        while not ended.wait(_OFTEN):
            seen.append(anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()
        seen.append(anonymous_memory())


_OFTEN = 0.005


def forget_peak() -> bool:
    """Look for the peak from now on; whether the system does that."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status(name: str) -> float:
    status = Path("/proc/self/status")
    found = re.search(rf"{name}:\s*(\d+) kB", status.read_text(encoding="utf-8")) if status.exists() else None
    return int(found[1]) / 1024 if found else float("nan")


@contextlib.contextmanager
def blocks_given_back(least: int) -> Iterator[None]:
    """Return every block of so many bytes or more to the system as soon as it is freed, where the C library is glibc.

    It would keep much of it between blocks that are in use; new memory instead of kept memory takes time, though.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, least)
    try:
        yield
    finally:
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, KEPT_BELOW)


@contextlib.contextmanager
def freed_given_back(seconds: float) -> Iterator[None]:
    """While entered, return to the system what has been freed, every so many seconds, where the C library is glibc.

    Where threads compute with arrays of changing sizes, it would keep more and more between blocks that are in use.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    ended = threading.Event()

    def give_back() -> None:
        while trim is not None and not ended.wait(seconds):
            trim(0)

    giving = threading.Thread(target=give_back, name="memory")
    giving.start()
    try:
        yield
    finally:
        ended.set()
        giving.join()


_M_MMAP_THRESHOLD = -3
KEPT_BELOW = 32 << 20
"""glibc keeps freed blocks below this, once others as large were freed: mallopt(3), M_MMAP_THRESHOLD; bytes."""


def process_pool(count: int, begin: Callable[..., None], material: tuple[Any, ...], preload: Sequence[str]) -> ProcessPoolExecutor:
    """A pool of processes that start on demand and end with this one, even if it is killed.

    They are forked from a process without threads that has imported what they need, so each takes little memory; where the system cannot
    fork, each imports it anew.

    Args:
        count: how many.
        begin: called once in each process.
        material: its arguments; they are pickled.
        preload: modules to import before processes are forked.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
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
