"""Training: queries and positives, negatives, batches, losses, the loop, the run on disk."""

from ance_ir.training.losses import pairwise_nll
from ance_ir.training.negatives import CandidateNegatives, NegativeSource, RandomNegatives
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run import TrainingRun, read_metrics
from ance_ir.training.settings import TrainingSettings
from ance_ir.training.trainer import Trainer, environment

__all__ = [
    "CandidateNegatives",
    "NegativeSource",
    "RandomNegatives",
    "Trainer",
    "TrainingQueries",
    "TrainingRun",
    "TrainingSettings",
    "environment",
    "pairwise_nll",
    "read_metrics",
]
