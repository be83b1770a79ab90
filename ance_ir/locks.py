"""Locks between processes: one makes a thing, the others wait for it.

A lock is ``flock`` on a file, so the system releases it when its process ends, however that ends. Linux passes it on to NFS servers. The
package ``filelock`` takes the same system call; what this module adds is the check that the locked file still has its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ance_ir.files import cache_folder, restore

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def held_lock(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Try to hold a lock on a file, or wait for it; it ends with this process at the latest; whether it is held.

    It is not held either where another file, or none, has come under the name while this waited.
    """
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat())
        except BlockingIOError:
            held = False
        yield held


@contextlib.contextmanager
def alone(path: Path, why: str) -> Iterator[None]:
    """Hold the lock of what is made at ``path``, a file ``x.lock`` beside it; wait for another process that has it, and say so.

    Args:
        path: of what is to be made; its folder is made if need be.
        why: what the other process does, for the message.
    """
    lock = path.with_name(f"{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        with held_lock(lock, wait=told) as ours:
            if ours:
                try:
                    yield
                finally:
                    if not lock.stat().st_size:  # else it is somebody's
                        lock.unlink()
                return
        if not told:
            logger.warning("another process is %s at %s; this one waits until it is done", why, path)
        told = True


def make_once(path: Path, made: Callable[[], bool], make: Callable[[], object], why: str) -> None:
    """Have what belongs into the cache made unless it is there: one process makes it, others wait for it.

    Args:
        path: where it belongs.
        made: whether it is there.
        make: makes it.
        why: what a process does that makes it, for the message to others.

    Raises:
        OSError: the cache cannot be written to; says how to choose another.
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
