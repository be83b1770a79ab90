"""Means over collections, and their intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from ance_ir.eval.significance import CONFIDENCE


class Average(NamedTuple):
    """A mean over collections.

    Attributes:
        mean: NaN where a collection has no value.
        low: of the interval; NaN for fewer than two collections.
        high: likewise.
    """

    mean: float
    low: float
    high: float


def average(values: pd.Series[float]) -> Average:
    """The mean of values of collections, each counting once, and its t interval (95 %) over the collections.

    The interval says how far the mean would differ over other collections drawn like these, not over other queries.
    A bootstrap would be too narrow for the few collections that there are.
    """
    mean, count = float(values.mean(skipna=False)), len(values)
    if count < 2:
        return Average(mean, math.nan, math.nan)
    from scipy.stats import t  # slow to import

    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(skipna=False) / math.sqrt(count))
    return Average(mean, mean - half, mean + half)
