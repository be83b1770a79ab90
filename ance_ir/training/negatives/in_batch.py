"""The documents of a batch as negatives of each other's queries."""

from __future__ import annotations

import numpy as np

from ance_ir.training.negatives.source import InBatch, NegativeSource


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
