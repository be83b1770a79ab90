"""Training: queries and positives, negatives, batches, losses, the loop, the run on disk."""

from ance_ir.training.ann_negatives import AnnNegatives, Draw
from ance_ir.training.combined import InBatchNegatives, MixedNegatives, WarmUp
from ance_ir.training.dense_objective import DenseObjective
from ance_ir.training.inferencer import Inferencer
from ance_ir.training.inferencer_processes import Inferencers
from ance_ir.training.losses import DISTILLATIONS, LOSSES, DistillationName, LossName
from ance_ir.training.metrics import read_metrics
from ance_ir.training.mined import MinedNegatives
from ance_ir.training.negatives import CandidateNegatives, InBatch, NegativeSchedule, NegativeSource, RandomNegatives
from ance_ir.training.objectives import Objective, RerankerLoss, RerankerObjective
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.reader_objective import ReaderObjective
from ance_ir.training.refresh import Miner
from ance_ir.training.run import TrainingRun
from ance_ir.training.settings import TrainingSettings
from ance_ir.training.trainer import Trainer, environment
from ance_ir.training.world import ALONE, World, join_world, own_device

__all__ = [
    "ALONE",
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
    "World",
    "environment",
    "join_world",
    "own_device",
    "read_metrics",
]
