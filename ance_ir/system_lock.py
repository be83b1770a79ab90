"""The system's lock on an open file: ``flock``, which Linux passes on to NFS servers; on Windows a locked byte."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from ance_ir.optional import optional

_BYTE = (1 << 31) - 16
"""The byte that is locked on Windows: nobody else can read it, so it lies behind the end of the file; the C library counts so far."""

_OFTEN = 0.1
"""Seconds between two tries on Windows, which waits for 10 seconds at most by itself."""


@contextlib.contextmanager
def system_lock(descriptor: int, *, wait: bool) -> Iterator[bool]:
    """Try to lock an open file, or wait for the lock; yields whether it is held. It ends when the file is closed at the latest.

    Raises:
        MissingDependencyError: the system has neither of the locks.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        lock = _locked_byte(descriptor, wait=wait)
    else:
        lock = _flock(fcntl, descriptor, wait=wait)
    with lock as held:
        yield held


@contextlib.contextmanager
def _flock(fcntl: Any, descriptor: int, *, wait: bool) -> Iterator[bool]:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = True
    except BlockingIOError:
        held = False
    yield held


@contextlib.contextmanager
def _locked_byte(descriptor: int, *, wait: bool) -> Iterator[bool]:
    remedy = "Python has fcntl on POSIX systems and msvcrt on Windows; ance_ir cannot write on a system that has neither"
    msvcrt = optional("msvcrt", package="msvcrt (of the standard library)", needed_for="a lock between processes", remedy=remedy)
    held = False
    while not held:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            held = True
        except PermissionError:
            if not wait:
                break
            time.sleep(_OFTEN)
    try:
        yield held
    finally:
        if held:  # Windows may take its time over those of closed files
            os.lseek(descriptor, _BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
