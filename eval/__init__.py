"""Runs, measures, experiments and what they show."""

from ance_ir.eval.candidates import RunRetriever, candidates
from ance_ir.eval.demo import DemoSettings, run_demo
from ance_ir.eval.doctor import Finding, diagnose, findings_text
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.examination import examine, report_on
from ance_ir.eval.examples import Example, Ranking, format_example, wins
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.formats import format_evaluation
from ance_ir.eval.inferencer import run_inferencer
from ance_ir.eval.kept_runs import KeptRuns
from ance_ir.eval.measures import (
    DEFAULT_MEASURES,
    EM,
    F1,
    Coverage,
    Evidence,
    Hole,
    Overlap,
    bind_measures,
    evaluate,
    means,
    needs,
    parse_measures,
)
from ance_ir.eval.mining import Mining
from ance_ir.eval.nearest_name import NearestName
from ance_ir.eval.on_dataset import evaluate_on_dataset
from ance_ir.eval.plots import plot_training
from ance_ir.eval.read import ReadingReport, open_readers, read_dataset
from ance_ir.eval.report import write_report
from ance_ir.eval.run_page import write_run_page
from ance_ir.eval.run_settings import differences_table, settings_table
from ance_ir.eval.run_tables import LEGEND, refresh_table, summary_table
from ance_ir.eval.runs import RUN_FORMATS, read_run, write_passages, write_run
from ance_ir.eval.significance import compare
from ance_ir.eval.suites import SUITES, Suite, find_suite, suite_of
from ance_ir.eval.tables import Table
from ance_ir.eval.train import threads_beside, train_on_dataset
from ance_ir.eval.train_reader import train_reader_on_dataset
from ance_ir.eval.train_reranker import train_reranker_on_dataset
from ance_ir.eval.training_runs import LoggedRun, read_training_runs
from ance_ir.eval.weights import TunedWeights, tune_weights

__all__ = [
    "Coverage",
    "DEFAULT_MEASURES",
    "DemoSettings",
    "EM",
    "Evaluation",
    "Evidence",
    "Example",
    "F1",
    "Finding",
    "Hole",
    "KeptRuns",
    "LEGEND",
    "LoggedRun",
    "Mining",
    "NearestName",
    "Overlap",
    "RUN_FORMATS",
    "Ranking",
    "ReadingReport",
    "RunRetriever",
    "SUITES",
    "Suite",
    "Table",
    "TunedWeights",
    "bind_measures",
    "candidates",
    "compare",
    "diagnose",
    "differences_table",
    "evaluate",
    "evaluate_on_dataset",
    "evaluate_systems",
    "examine",
    "find_suite",
    "findings_text",
    "format_evaluation",
    "format_example",
    "means",
    "needs",
    "open_readers",
    "parse_measures",
    "plot_training",
    "read_dataset",
    "read_run",
    "read_training_runs",
    "refresh_table",
    "report_on",
    "run_demo",
    "run_inferencer",
    "settings_table",
    "suite_of",
    "summary_table",
    "threads_beside",
    "train_on_dataset",
    "train_reader_on_dataset",
    "train_reranker_on_dataset",
    "tune_weights",
    "wins",
    "write_passages",
    "write_report",
    "write_run",
    "write_run_page",
]
