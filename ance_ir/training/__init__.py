"""Training: queries and positives, negatives, batches, losses, the loop, the run on disk."""

from ance_ir.training.combined import InBatchNegatives, MixedNegatives, WarmUp
from ance_ir.training.dense_objective import DenseObjective
from ance_ir.training.losses import DISTILLATIONS, LOSSES, DistillationName, LossName
from ance_ir.training.negatives import CandidateNegatives, InBatch, NegativeSource, RandomNegatives
from ance_ir.training.objectives import Objective, RerankerLoss, RerankerObjective
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.run import TrainingRun, read_metrics
from ance_ir.training.settings import TrainingSettings
from ance_ir.training.trainer import Trainer, environment

__all__ = [
    "CandidateNegatives",
    "DISTILLATIONS",
    "DenseObjective",
    "DistillationName",
    "InBatch",
    "InBatchNegatives",
    "LOSSES",
    "LossName",
    "MixedNegatives",
    "NegativeSource",
    "Objective",
    "RandomNegatives",
    "RerankerLoss",
    "RerankerObjective",
    "Trainer",
    "TrainingQueries",
    "TrainingRun",
    "TrainingSettings",
    "WarmUp",
    "environment",
    "read_metrics",
]
