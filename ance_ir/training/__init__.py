"""Training: queries and positives, negatives, batches, losses, the loop, the run on disk."""

from ance_ir.moved import moved
from ance_ir.training.negatives.from_ranking import CandidateNegatives
from ance_ir.training.negatives.mixture import MixedNegatives
from ance_ir.training.negatives.named import NEGATIVES
from ance_ir.training.negatives.named.ance import AnnNegatives
from ance_ir.training.negatives.named.in_batch import InBatchNegatives
from ance_ir.training.negatives.named.random import RandomNegatives
from ance_ir.training.negatives.source import Draw, InBatch, NegativeSchedule, NegativeSource
from ance_ir.training.negatives.two_stage import TwoStageNegatives
from ance_ir.training.objectives.dense import DenseObjective
from ance_ir.training.objectives.distillations import DISTILLATIONS
from ance_ir.training.objectives.losses import LOSSES
from ance_ir.training.objectives.objective import Objective
from ance_ir.training.objectives.reader import ReaderObjective
from ance_ir.training.objectives.reranker import RerankerObjective
from ance_ir.training.objectives.teachers import AskedTeacher, ScoredPairs, Teacher
from ance_ir.training.pairs import Pairs
from ance_ir.training.queries import TrainingQueries
from ance_ir.training.refresh.inferencer import Inferencer
from ance_ir.training.refresh.mined import MinedNegatives
from ance_ir.training.refresh.miner import Miner
from ance_ir.training.refresh.processes import Inferencers
from ance_ir.training.run.folder import TrainingRun
from ance_ir.training.run.manifest import environment
from ance_ir.training.run.metrics import read_metrics
from ance_ir.training.run.optimisers import OPTIMISERS
from ance_ir.training.run.schedules import SCHEDULES
from ance_ir.training.run.settings import TEMPERATURES, TrainingSettings
from ance_ir.training.run.trainer import Trainer

__getattr__ = moved(
    __name__,
    {
        **dict.fromkeys(("ALONE", "World", "join_world", "own_device"), "ance_ir.world"),
        **dict.fromkeys(("DistillationName", "LossName", "RerankerLoss"), "builtins:str"),
        "WarmUp": "ance_ir.training:TwoStageNegatives",
    },
)

__all__ = [
    "AnnNegatives",
    "AskedTeacher",
    "CandidateNegatives",
    "DISTILLATIONS",
    "DenseObjective",
    "Draw",
    "InBatch",
    "InBatchNegatives",
    "Inferencer",
    "Inferencers",
    "LOSSES",
    "MinedNegatives",
    "Miner",
    "MixedNegatives",
    "NEGATIVES",
    "NegativeSchedule",
    "NegativeSource",
    "OPTIMISERS",
    "Objective",
    "Pairs",
    "RandomNegatives",
    "ReaderObjective",
    "RerankerObjective",
    "SCHEDULES",
    "ScoredPairs",
    "TEMPERATURES",
    "Teacher",
    "Trainer",
    "TrainingQueries",
    "TrainingRun",
    "TrainingSettings",
    "TwoStageNegatives",
    "environment",
    "read_metrics",
]
