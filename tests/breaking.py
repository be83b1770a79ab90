"""Negatives that fail, for runs that are broken off."""

from __future__ import annotations

import numpy as np

from ance_ir.training import RandomNegatives, TrainingQueries


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
