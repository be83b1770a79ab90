"""The other document of the batch that scores highest (the paper's NCE)."""

from __future__ import annotations

from ance_ir.training.negatives.named.in_batch import InBatchNegatives
from ance_ir.training.negatives.source import Draw
from ance_ir.training.queries import TrainingQueries


def make(queries: TrainingQueries, draw: Draw, temperature: float) -> InBatchNegatives:
    """The source named ``nce``."""
    return InBatchNegatives("hardest")
