"""A system that lacks what Windows lacks, imitated on Linux as far as Python's documentation says how it behaves; but that Windows refuses
to rename what is open.

It is for a process of its own, which imports ``ance_ir`` anew.
"""

from __future__ import annotations

import builtins
import fcntl
import importlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ir_measures.measures.base import registry

from ance_ir.eval.measures.own import OWN_MEASURES
from tests.test_architecture import find_modules

MISSING = {"fcntl", "grp", "pwd", "pyterrier_pisa", "resource", "syslog", "termios"}
"""Modules that Windows has not, of which PISA's has no wheel there. Other packages, which ask what system this is, keep theirs."""

LACKS: dict[Any, tuple[str, ...]] = {
    os: ("fork", "forkpty", "getuid", "geteuid", "killpg", "pread", "pwrite", "sched_getaffinity", "statvfs", "sysconf", "uname", "wait"),
    select: ("epoll", "poll"),
    signal: ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "alarm", "pthread_kill", "setitimer"),
}


def imitate() -> None:
    """Take away what Windows has not, and let calls fail that fail there."""
    for measure in OWN_MEASURES.values():  # they register themselves again
        del registry[measure.__name__]
    for name in [name for name in sys.modules if name.partition(".")[0] == "ance_ir"]:
        del sys.modules[name]
    for module, names in LACKS.items():
        for name in names:
            delattr(module, name)
    builtins.__import__ = _without(builtins.__import__)
    sys.modules["pyterrier_pisa"] = None  # type: ignore[assignment]  # it cannot be imported
    sys.modules["msvcrt"] = msvcrt()
    os.symlink = _refused
    os.kill = _refused
    os.open = _unless(os.open, lambda path, *_: os.path.isdir(path))
    os.fsync = _unless(os.fsync, lambda file: fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY)
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    files, exchange = map(importlib.import_module, ("ance_ir.files", "ance_ir.exchange"))
    files._WINDOWS = True  # type: ignore[attr-defined]
    exchange._renameat2 = lambda: None  # type: ignore[attr-defined]


def import_everything() -> int:
    """Import every module of the package; how many they are."""
    modules = find_modules()
    for name in modules:
        if name != "ance_ir.__main__":
            importlib.import_module(name)
    return len(modules)


def _without(imported: Callable[..., Any]) -> Callable[..., Any]:
    def checked(name: str, scope: dict[str, Any] | None = None, *others: Any, **named: Any) -> Any:
        if name in MISSING and str((scope or {}).get("__name__")).startswith("ance_ir"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return imported(name, scope, *others, **named)

    return checked


def _refused(*_: Any, **__: Any) -> Any:
    raise PermissionError(1314, "a required privilege is not held")


def _unless(call: Callable[..., Any], refused: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any, **named: Any) -> Any:
        return _refused() if refused(*arguments) else call(*arguments, **named)

    return checked


def msvcrt() -> ModuleType:
    """Its locks, of whole files, by those of Linux."""
    module = ModuleType("msvcrt")
    module.LK_NBLCK, module.LK_UNLCK = 2, 0  # type: ignore[attr-defined]

    def locking(descriptor: int, mode: int, count: int) -> None:
        assert os.lseek(descriptor, 0, os.SEEK_CUR) + count < 1 << 31
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if mode == module.LK_NBLCK else fcntl.LOCK_UN)  # type: ignore[attr-defined]
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    module.locking = locking  # type: ignore[attr-defined]
    return module
