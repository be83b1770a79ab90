"""Locks between processes: one makes a thing, the others wait for it.

A lock is the system's on a file (``system_lock``), which ends with its process. The package ``filelock`` makes the same calls, but removes
or rewrites the file; here the lock may be any file that exists.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ance_ir.files import cache_folder, restore
from ance_ir.system_lock import system_lock

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def held_lock(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Try to lock a file, or wait for the lock; yields whether it is held. It ends with this process at the latest.

    It counts as not held if the file was removed or replaced meanwhile.
    """
    with path.open("ab") as stream, system_lock(stream.fileno(), wait=wait) as held:
        yield held and path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat())


@contextlib.contextmanager
def alone(path: Path, why: str, meanwhile: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock of ``path``, a file ``x.lock`` next to it. If another process holds it, warn and wait.

    Args:
        path: what is made under the lock; its folder is made if necessary.
        why: what the other process does, for the message.
        meanwhile: called again and again while this process waits; it helps the other, and takes its time.
    """
    lock = path.with_name(f"{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    warned = False
    while True:
        with held_lock(lock, wait=warned and meanwhile is None) as ours:
            if ours:
                try:
                    yield
                finally:
                    if not lock.stat().st_size:  # else it is no lock of ours
                        with contextlib.suppress(PermissionError):  # Windows keeps a file that is open
                            lock.unlink()
                return
        if not warned:
            logger.warning("another process is %s at %s; %s until it is done", why, path, "helping" if meanwhile else "waiting")
        warned = True
        if meanwhile is not None:
            meanwhile()


def make_once(path: Path, made: Callable[[], bool], make: Callable[[], object], why: str) -> None:
    """Make something in the cache unless it is there; one process makes it, others wait.

    Args:
        path: its place.
        made: whether it is there.
        make: makes it.
        why: what the process that makes it does, for the message to others.

    Raises:
        OSError: the cache is not writable; the message says how to choose another.
    """
    restore(path)
    if made():
        return
    try:
        with alone(path, why):
            if not made():
                make()
    except OSError as error:
        if Path(os.fsdecode(error.filename or path)).is_relative_to(cache_folder()) and error.strerror:
            error.strerror += " (this is the cache; the environment variable ANCE_IR_CACHE names another folder for it)"
        raise
