"""Runs, measures, experiments and what they show."""

from ance_ir.eval.demo import DemoSettings, run_demo
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.examples import Example, Ranking, format_example, wins
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.inferencer import run_inferencer
from ance_ir.eval.measures import DEFAULT_MEASURES, evaluate, parse_measures
from ance_ir.eval.mining import Mining
from ance_ir.eval.plots import plot_training
from ance_ir.eval.runs import read_run, write_run
from ance_ir.eval.significance import compare
from ance_ir.eval.train import threads_beside, train_on_dataset
from ance_ir.eval.train_reranker import train_reranker_on_dataset

__all__ = [
    "DEFAULT_MEASURES",
    "DemoSettings",
    "Evaluation",
    "Example",
    "Mining",
    "Ranking",
    "compare",
    "evaluate",
    "evaluate_systems",
    "format_example",
    "parse_measures",
    "plot_training",
    "read_run",
    "run_demo",
    "run_inferencer",
    "threads_beside",
    "train_on_dataset",
    "train_reranker_on_dataset",
    "wins",
    "write_run",
]
