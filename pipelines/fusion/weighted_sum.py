"""The weighted sum of scores, plain or normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.pipelines.fusion.base import Fusion
from ance_ir.settings import Setting, choice
from ance_ir.transformers import labelled

Normalization = Literal["none", "min-max", "z"]
Missing = Literal["min", "zero"]


class WeightedSum(Fusion):
    """The weighted sum of a document's scores in several rankings.

    BM25 + λ · dense over the union of both rankings (Karpukhin et al., 2020, section 5), where a document that one of them lacks gets that
    ranking's lowest score, is ``WeightedSum(bm25 % 2000, dense % 2000, weights=(1, 1.1))``. With exact dense scores instead it is
    ``WeightedSum(bm25 % 2000, (bm25 % 2000 | dense % 2000) >> index.scorer(model), weights=(1, 1.1))``. ``tune_weights`` chooses weights.

    Args:
        *systems: transformers that retrieve, or rank what they are given.
        weights: of each system; 1 each by default.
        normalization: of the scores of each system for each query: ``"none"``; ``"min-max"``, from 0 to 1, all 1 if they are equal;
            ``"z"``, with mean 0 and standard deviation 1, all 0 if they are equal.
        missing: the score of a document that a ranking lacks: ``"min"``, the ranking's lowest (normalised) score, or ``"zero"``. A ranking
            without any document for the query gives 0.
        num_results: documents a query, at most.

    Raises:
        UsageError: there is no system, there are not as many weights as systems, or no such normalisation or rule.
    """

    schematic = labelled("Weighted sum", inner_pipelines_mode="combine")
    normalization: Setting[Normalization] = choice(get_args(Normalization))
    missing: Setting[Missing] = choice(get_args(Missing))

    def __init__(
        self,
        *systems: pt.Transformer,
        weights: Sequence[float] | None = None,
        normalization: Normalization = "none",
        missing: Missing = "min",
        num_results: int = 1000,
    ) -> None:
        self.normalization = normalization
        self.missing = missing
        super().__init__(systems, [1.0] * len(systems) if weights is None else weights, num_results)

    def usual(self, name: str, default: Any) -> Any:
        """See ``Configured``: each weighs 1 by default."""
        return (1.0,) * len(self.systems) if name == "weights" else super().usual(name, default)

    def _values(self, ranked: pd.DataFrame) -> np.ndarray:
        scores = ranked["score"].to_numpy(np.float64)
        starts = np.flatnonzero(ranked["rank"] == 0)
        if self.normalization == "none" or not len(scores):
            return scores
        counts = np.diff(np.append(starts, len(scores)))
        low, high = (np.repeat(edge.reduceat(scores, starts), counts) for edge in (np.minimum, np.maximum))
        equal = low == high
        if self.normalization == "min-max":
            return np.where(equal, 1.0, (scores - low) / np.where(equal, 1.0, high - low))
        centred = scores - np.repeat(np.add.reduceat(scores, starts) / counts, counts)
        deviation = np.repeat(np.sqrt(np.add.reduceat(centred**2, starts) / counts), counts)
        return np.where(equal, 0.0, centred / np.where(equal, 1.0, deviation))

    def _lacking(self, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
        if self.missing == "zero" or not len(starts):
            return np.zeros(len(starts))
        lowest: np.ndarray = np.minimum.reduceat(values, starts)
        return lowest
