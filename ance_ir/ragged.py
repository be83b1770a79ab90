"""Index arithmetic for things that have several rows each, such as documents their passages.

N things have ``counts`` rows, int64 ``[N]``, which lie one thing after the other: R = ``counts.sum()`` rows in all.
"""

from __future__ import annotations

import numpy as np


def starts_of(counts: np.ndarray) -> np.ndarray:
    """The first row of each thing, int64 ``[N]``."""
    starts: np.ndarray = np.cumsum(counts) - counts
    return starts


def owners_of(counts: np.ndarray) -> np.ndarray:
    """The thing that each row belongs to, int64 ``[R]``."""
    return np.repeat(np.arange(len(counts)), counts)


def places_of(counts: np.ndarray) -> np.ndarray:
    """The place of each row among those of its thing, from 0, int64 ``[R]``."""
    return rows_of(np.zeros(len(counts), dtype=np.int64), counts)


def rows_of(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rows of N things that lie elsewhere, one thing after the other, int64 ``[R]``.

    Args:
        firsts: the first row of each, int64 ``[N]``; the others follow it.
        counts: how many each has, int64 ``[N]``.
    """
    rows: np.ndarray = np.repeat(firsts - starts_of(counts), counts) + np.arange(counts.sum())
    return rows
