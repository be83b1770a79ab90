"""What a reader may take: memory, time, and its own process."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

MEMORY = 1 << 30
"""Bytes that a reader may take."""

SECONDS = 10.0
"""Of the processor's time; twelve times as many of the clock's, for readers that wait: other work may run on the machine."""


class TooSlowError(BaseException):
    """A reader that did not come back in time; nothing catches it on the way."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """While entered, more memory is refused, and time is up some day."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = {number: signal.signal(number, _too_slow) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 12 * SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlowError


def in_child(work: Callable[[], None], note: Path) -> str:
    """Do something in a forked process; what went wrong there, nothing if all is well.

    Args:
        work: what to do; what it raises counts as wrong.
        note: a file for what the child has to say.
    """
    note.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            note.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"the process was ended by the signal {signal.Signals(os.WTERMSIG(status)).name}"
    return note.read_text(encoding="utf-8") if status else ""
