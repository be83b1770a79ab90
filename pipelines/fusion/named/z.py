"""The weighted sum of scores that have mean 0 and standard deviation 1 for each query."""

from __future__ import annotations

from functools import partial

from ance_ir.pipelines.fusion.weighted_sum import WeightedSum

FUSION = partial(WeightedSum, normalization="z")
