"""Training: queries and positives, negatives, batches, losses, the loop, the run on disk."""

from ance_ir.moved import moved
from ance_ir.training.negatives.ann import AnnNegatives, Draw
from ance_ir.training.negatives.combined import InBatchNegatives, MixedNegatives, WarmUp
from ance_ir.training.negatives.source import CandidateNegatives, InBatch, NegativeSchedule, NegativeSource, RandomNegatives
from ance_ir.training.objectives.dense import DenseObjective
from ance_ir.training.objectives.losses import DISTILLATIONS, LOSSES, DistillationName, LossName
from ance_ir.training.objectives.objective import Objective, RerankerLoss, RerankerObjective
from ance_ir.training.objectives.reader import ReaderObjective
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.refresh.inferencer import Inferencer
from ance_ir.training.refresh.mined import MinedNegatives
from ance_ir.training.refresh.processes import Inferencers
from ance_ir.training.refresh.refresher import Miner
from ance_ir.training.run.folder import TrainingRun
from ance_ir.training.run.metrics import read_metrics
from ance_ir.training.run.settings import TrainingSettings
from ance_ir.training.run.trainer import Trainer, environment

__getattr__ = moved(__name__, dict.fromkeys(("ALONE", "World", "join_world", "own_device"), "ance_ir.world"))

__all__ = [
    "AnnNegatives",
    "CandidateNegatives",
    "DISTILLATIONS",
    "DenseObjective",
    "DistillationName",
    "Draw",
    "InBatch",
    "InBatchNegatives",
    "Inferencer",
    "Inferencers",
    "LOSSES",
    "LossName",
    "MinedNegatives",
    "Miner",
    "MixedNegatives",
    "NegativeSchedule",
    "NegativeSource",
    "Objective",
    "RandomNegatives",
    "ReaderObjective",
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
