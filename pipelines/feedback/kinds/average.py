"""The mean of the query and the first results (Li et al., 2021)."""

from __future__ import annotations

import numpy as np

from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.transformers import labelled


class AveragePRF(VectorPRF):
    """The mean of the query and the first results (Li et al., 2021, "Average").

    Each document contributes the vector of its best passage for the query. Results that the index does not hold are skipped; a query
    without any result in the index keeps its vector.

    Args:
        index: has the documents' vectors.
        depth: how many of the first results are used, at most.
        model: encodes the queries of frames without ``query_vec``; by default the index's own, opened on first use.
        check: refuse a model that is not the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: ``depth`` is below 1.
    """

    schematic = labelled("Average PRF")

    def __init__(self, index: AnceIndex, depth: int = 3, *, model: DenseEncoder | None = None, check: bool = True) -> None:
        super().__init__(index, depth, model, check)

    def _moved(self, query_D: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        mean: np.ndarray = np.vstack((query_D, self._best_passages(query_D, numbers[: self.depth]))).mean(axis=0)
        return mean


FEEDBACK = AveragePRF
