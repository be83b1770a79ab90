"""Inferencer processes that a trainer starts on its machine: watched, restarted when they die, ended with the training."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ance_ir.errors import TrainingError

logger = logging.getLogger(__name__)

_RESTARTS = 3
"""How often an inferencer is started again without anything being published in between."""

_WAIT = 0.5
"""Seconds before the first of these starts; twice as many before each further one."""

_PATIENCE = 10.0
"""Seconds that inferencers are given to end by themselves."""


@dataclass(kw_only=True, eq=False)
class _Inferencer:
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    next_start: float = 0.0
    given_up: bool = False
    stream: IO[bytes] | None = field(default=None, repr=False)


class Inferencers:
    """Inferencers of one machine. Each reads from a pipe that closes when this process ends, and then ends too.

    Args:
        commands: the command line of each.
        folder: for their output.
        environment: of the processes; by default this one's.
    """

    def __init__(self, commands: Sequence[Sequence[str]], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._all = [_Inferencer(command=command, log=folder / f"{number}.log") for number, command in enumerate(commands)]
        self._folder = folder
        self._environment = environment
        self._published = -1

    @property
    def count(self) -> int:
        """How many are started."""
        return len(self._all)

    @property
    def processes(self) -> list[int]:
        """The process numbers of those that run."""
        return [one.process.pid for one in self._all if one.process is not None and one.process.poll() is None]

    def start(self) -> None:
        """Start all of them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for one in self._all:
            self._start(one)

    def check(self, published: int, *, needed: bool) -> None:
        """Restart those that died; one that dies again and again is given up.

        Args:
            published: the newest negatives, by the step of their model.
            needed: whether training cannot continue without new negatives.

        Raises:
            TrainingError: they are needed, and all inferencers were given up.
        """
        if published > self._published:
            self._published = published
            for one in self._all:
                one.restarts = 0
        for one in self._all:
            if one.process is None or one.given_up or one.process.poll() is None:
                continue
            if one.restarts == _RESTARTS:
                one.given_up = True
                logger.warning("%s; it is not started again, training continues with the negatives it has", self._died(one))
            elif one.next_start == 0.0:
                one.next_start = time.monotonic() + _WAIT * 2**one.restarts
                logger.warning("%s; it is started again", self._died(one))
            elif time.monotonic() >= one.next_start:
                one.restarts += 1
                self._start(one)
        if needed and self._all and all(one.given_up for one in self._all):
            raise TrainingError(f"{self._died(self._all[0])}; all inferencers have died, and there are no negatives to continue with")

    def stop(self) -> None:
        """End all of them, and wait until they have ended."""
        for one in self._all:
            if one.process is not None and one.process.stdin is not None:
                one.process.stdin.close()
        until = time.monotonic() + _PATIENCE
        for one in self._all:
            if one.process is None:
                continue
            try:
                one.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
            if one.stream is not None:
                one.stream.close()
            one.process = None

    def _start(self, one: _Inferencer) -> None:
        for stream in (one.stream, one.process.stdin if one.process is not None else None):
            if stream is not None:
                stream.close()
        one.next_start = 0.0
        one.stream = one.log.open("ab")
        one.process = subprocess.Popen(
            one.command, stdin=subprocess.PIPE, stdout=one.stream, stderr=one.stream, env=self._environment, start_new_session=True
        )

    def _died(self, one: _Inferencer) -> str:
        assert one.process is not None
        said = one.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"an inferencer died (exit code {one.process.returncode}, {one.log}: {said[-1] if said else 'nothing was said'})"
