"""Training: queries and positives, negatives, batches, losses, the loop, the run on disk."""

from ance_ir.training.losses import hinge, pairwise_nll, softmax_cross_entropy
from ance_ir.training.negatives import CandidateNegatives, NegativeSource, RandomNegatives
from ance_ir.training.objectives import DenseObjective, Objective, RerankerLoss, RerankerObjective
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run import TrainingRun, read_metrics
from ance_ir.training.settings import TrainingSettings
from ance_ir.training.trainer import Trainer, environment

__all__ = [
    "CandidateNegatives",
    "DenseObjective",
    "NegativeSource",
    "Objective",
    "RandomNegatives",
    "RerankerLoss",
    "RerankerObjective",
    "Trainer",
    "TrainingQueries",
    "TrainingRun",
    "TrainingSettings",
    "environment",
    "hinge",
    "pairwise_nll",
    "read_metrics",
    "softmax_cross_entropy",
]
