"""Contenders in turn, so that other load of the machine affects them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

OURS = "ance_ir"

_REST = 0.2
_TURN = 0.1


def alternate(contenders: Mapping[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] | None = None) -> dict[str, list[float]]:
    """Seconds of each contender in each round, by a clock; they run in turn, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in range(rounds + 1):
        for name, run in contenders.items():
            lasted = _seconds(run, clock)
            if counted:
                seconds[name].append(lasted)
    return seconds


def alternate_short(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """The same for runs of milliseconds: seconds of one run, several of which make a turn.

    Before each turn all rest for 0.2 seconds, since the threads of numpy's matrix product keep spinning when it is done. The first run
    of a turn finds the caches as others left them, and does not count. Of the others there are as many as fill 0.1 seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            time.sleep(_REST)
            _seconds(run)
            runs = [_seconds(run)]
            while sum(runs) < _TURN:
                runs.append(_seconds(run))
            seconds[name].append(statistics.fmean(runs))
    return seconds


def _seconds(run: Callable[[], Any], clock: Callable[[], float] | None = None) -> float:
    clock = clock or time.perf_counter
    began = clock()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - began


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each contender."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def ratio(seconds: Mapping[str, list[float]], one: str, other: str) -> float:
    """How many times as long the one takes as the other: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))
