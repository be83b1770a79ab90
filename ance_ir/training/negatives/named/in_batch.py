"""The other documents of the batch (DPR)."""

from __future__ import annotations

import numpy as np

from ance_ir.training.negatives.source import Draw, InBatch, NegativeSource
from ance_ir.training.queries import TrainingQueries


class InBatchNegatives(NegativeSource):
    """No document is drawn; those of the batch are the negatives.

    Args:
        in_batch: ``"all"`` (DPR) or ``"hardest"`` (the paper's NCE negatives).
    """

    draws = False

    def __init__(self, in_batch: InBatch) -> None:
        self.in_batch = in_batch
        self.name = "nce" if in_batch == "hardest" else "in-batch"

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """None, int64 ``[B, 0]``."""
        return np.zeros((len(queries), 0), dtype=np.int64)


def make(queries: TrainingQueries, draw: Draw, temperature: float) -> InBatchNegatives:
    """The source named ``in-batch``."""
    return InBatchNegatives("all")
