"""Runs that are broken off: negatives that fail, and what a log says whenever it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.training import RandomNegatives, TrainingQueries, read_metrics


class Interrupted(Exception):
    """Stands for whatever ends a process."""


class Breaking(RandomNegatives):
    """Random negatives that fail at a given draw."""

    def __init__(self, queries: TrainingQueries, at: int) -> None:
        super().__init__(queries)
        self._left = at

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        self._left -= 1
        if self._left < 0:
            raise Interrupted
        return super().draw(queries, count, generator)


def timeless_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, without what clocks say."""
    return [_timeless(line) for line in read_metrics(folder / "metrics.jsonl")]


def _timeless(told: dict[str, Any]) -> dict[str, Any]:
    return {name: _timeless(value) if isinstance(value, dict) else value for name, value in told.items() if not name.endswith("seconds")}
