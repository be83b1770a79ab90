"""Processes for tests: forked from one that has imported everything, so that they start at once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["ance_ir.eval", "ance_ir.models.dense.checkpoint", "tests.training_jobs", "tests.worst_instants"])

Phase = "Synchronized[int]"
ELSEWHERE, TRAINING, MINING, PUBLISHING = range(4)


def start(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that runs a function of ``tests.training_jobs``."""
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


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
