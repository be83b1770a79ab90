"""The weighted sum of scores that are scaled to 0 … 1 for each query."""

from __future__ import annotations

from functools import partial

from ance_ir.pipelines.fusion.weighted_sum import WeightedSum

FUSION = partial(WeightedSum, normalization="min-max")
