"""Rocchio's sum of the query, the first and the last results (Li et al., 2021)."""

from __future__ import annotations

import numpy as np

from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.settings import integer, number
from ance_ir.transformers import labelled


class RocchioPRF(VectorPRF):
    """α · query + β · mean of the first results − γ · mean of the last ones (Li et al., 2021, "Rocchio").

    Documents contribute vectors as for ``AveragePRF``. If a query has few results, its last ones are those after the first ones, if any.

    Args:
        index: has the documents' vectors.
        depth: how many of the first results count as relevant, at most.
        alpha: weight of the query.
        beta: weight of the first results.
        bottom: how many last results count as not relevant, at most.
        gamma: weight of the last results.
        model: see ``AveragePRF``.
        check: refuse a model that is not the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: ``depth`` is below 1, or ``bottom`` below 0.
    """

    schematic = labelled("Rocchio PRF")
    parameters = ("depth", "alpha", "beta")
    alpha = number()
    beta = number()
    bottom = integer(0)
    gamma = number()

    def __init__(
        self,
        index: AnceIndex,
        depth: int = 5,
        alpha: float = 0.4,
        beta: float = 0.6,
        bottom: int = 0,
        gamma: float = 0.0,
        *,
        model: DenseEncoder | None = None,
        check: bool = True,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.bottom = bottom
        self.gamma = gamma
        super().__init__(index, depth, model, check)

    def _moved(self, query_D: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        moved: np.ndarray = self.alpha * query_D + self.beta * self._best_passages(query_D, numbers[: self.depth]).mean(axis=0)
        last = numbers[max(self.depth, len(numbers) - self.bottom) :]
        if len(last):
            moved -= self.gamma * self._best_passages(query_D, last).mean(axis=0)
        return moved


FEEDBACK = RocchioPRF
