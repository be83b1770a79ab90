"""A system that lacks what Windows lacks, imitated on Linux as far as the documentation of Python and of Windows says how it behaves.

It is for a process of its own, which imports ``ance_ir`` anew.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.test_architecture import find_modules

MISSING = ("fcntl", "grp", "pwd", "pyterrier_pisa", "resource", "syslog", "termios")
"""Modules that Windows has not, of which PISA's has no wheel there."""

LACKS: dict[Any, tuple[str, ...]] = {
    os: ("fork", "forkpty", "getuid", "geteuid", "killpg", "pread", "pwrite", "sched_getaffinity", "statvfs", "sysconf", "uname", "wait"),
    select: ("epoll", "poll"),
    signal: ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "alarm", "pthread_kill", "setitimer"),
}


def imitate() -> None:
    """Take away what Windows has not, and let calls fail that fail there."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "ance_ir"]:
        del sys.modules[name]
    for module, names in LACKS.items():
        for name in names:
            delattr(module, name)
    sys.modules.update(dict.fromkeys(MISSING))  # type: ignore[arg-type]  # None: it cannot be imported
    sys.modules["msvcrt"] = msvcrt()
    os.symlink = _refused
    os.kill = _refused
    os.open = _unless(os.open, lambda path, *_: os.path.isdir(path))
    os.fsync = _unless(os.fsync, lambda file: fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY)
    for name in ("remove", "unlink", "rename", "replace"):
        setattr(os, name, _unless(getattr(os, name), _is_open))
    shutil._use_fd_functions = False  # type: ignore[attr-defined]  # it removes by name
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


def _refused(*_: Any, **__: Any) -> Any:
    raise PermissionError(1314, "a required privilege is not held")


def _unless(call: Callable[..., Any], refused: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any, **named: Any) -> Any:
        return _refused() if refused(*arguments) else call(*arguments, **named)

    return checked


def _is_open(*paths: Any) -> bool:
    """Whether one of some files, or one in these folders, is open in this process or mapped into its memory."""
    opened = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    opened += [line.split(maxsplit=5)[-1].rstrip("\n") for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()]
    names = [os.path.realpath(path) for path in paths]
    return any(one == name or one.startswith(f"{name}/") for one in opened for name in names)


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
