"""Processes for tests: forked from one that has imported everything, so that they start at once."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")


def prepare() -> None:
    """Start the one that is forked, before the package under test starts it with less."""
    CONTEXT.set_forkserver_preload(["tests.preloaded"])
    with contextlib.chdir(Path(__file__).parent.parent):  # it imports from its folder
        multiprocessing.forkserver.ensure_running()


Phase = "Synchronized[int]"
ELSEWHERE, TRAINING, MINING, PUBLISHING = range(4)


def start(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that runs a function of a module of tests."""
    prepare()
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


def start_command(*arguments: Any) -> BaseProcess:
    """``ance-ir`` in a process of its own that says nothing and ends with its exit code."""
    return start(_command, [str(argument) for argument in arguments])


def _command(arguments: list[str]) -> None:
    from ance_ir.cli.main import main

    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(silent, stream)
    sys.exit(main(arguments))


def printed_by(code: str, *arguments: object, within: float = 120, **environment: str) -> str:
    """What Python code prints on standard output, run as ``python -c`` in a process of its own; it must end well."""
    with tempfile.TemporaryDirectory() as folder:
        process = start(_run, code, list(map(str, arguments)), {**os.environ, **environment}, folder)
        process.join(within)
        process.kill()
        process.join()
        out, err = (Path(folder, name).read_text(encoding="utf-8") for name in ("out", "err"))
    assert process.exitcode == 0, err
    return out


def _run(code: str, arguments: list[str], environment: dict[str, str], folder: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(folder, name), os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
    sys.argv = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})


def kill_in(phase: int, now: Synchronized[int], process: BaseProcess, instants: random.Random, within: float) -> bool:
    """SIGKILL a process at a random instant after it has entered a phase; whether it was alive."""
    until = time.monotonic() + 60
    while now.value != phase and process.is_alive():
        assert time.monotonic() < until, "the process hangs"
        time.sleep(0.0005)
    time.sleep(instants.uniform(0, within))
    alive = process.is_alive()
    if alive:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return alive


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
