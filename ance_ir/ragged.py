"""Rows of things that have several each: of documents their passages."""

from __future__ import annotations

import numpy as np


def rows_of(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rows of N things, one thing after the other, int64 ``[counts.sum()]``.

    Args:
        firsts: the first row of each, int64 ``[N]``; the others follow it.
        counts: how many each has, int64 ``[N]``.
    """
    begins = np.cumsum(counts) - counts
    rows: np.ndarray = np.repeat(firsts - begins, counts) + np.arange(counts.sum())
    return rows
