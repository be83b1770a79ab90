"""Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.pipelines.fusion.base import Fusion
from ance_ir.settings import number
from ance_ir.transformers import labelled


class ReciprocalRankFusion(Fusion):
    """A document scores 1 / (k + rank) for each list that holds it, ranks from 1 (Cormack, Clarke and Büttcher, 2009).

    Args:
        *systems: transformers that retrieve, or rank what they are given.
        k: the larger it is, the less the first ranks stand out.
        num_results: documents a query, at most.

    Raises:
        UsageError: there is no system, or ``k`` is below 0.
    """

    schematic = labelled("Reciprocal ranks", inner_pipelines_mode="combine")
    k = number(0)

    def __init__(self, *systems: pt.Transformer, k: float = 60, num_results: int = 1000) -> None:
        self.k = k
        super().__init__(systems, [1.0] * len(systems), num_results)

    def _values(self, ranked: pd.DataFrame) -> np.ndarray:
        values: np.ndarray = 1 / (self.k + ranked["rank"].to_numpy() + 1)
        return values

    def _lacking(self, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
        return np.zeros(len(starts))


FUSION = ReciprocalRankFusion
