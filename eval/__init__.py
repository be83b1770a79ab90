"""Runs, measures, experiments and what they show."""

from ance_ir.eval.candidates import RunRetriever, candidates
from ance_ir.eval.doctor import Finding, diagnose, findings_text
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.examination import examine, report_on
from ance_ir.eval.examples import Example, Ranking, format_example, wins
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.formats import format_evaluation
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
from ance_ir.eval.on_dataset import evaluate_on_dataset
from ance_ir.eval.report import write_report
from ance_ir.eval.runs import RUN_FORMATS, read_run, write_passages, write_run
from ance_ir.eval.significance import compare
from ance_ir.eval.suites import SUITES, Suite, find_suite, suite_of
from ance_ir.eval.tables import Table
from ance_ir.eval.tuning.weights import TunedWeights, tune_weights
from ance_ir.moved import moved

__all__ = [
    "Coverage",
    "DEFAULT_MEASURES",
    "EM",
    "Evaluation",
    "Evidence",
    "Example",
    "F1",
    "Finding",
    "Hole",
    "KeptRuns",
    "Overlap",
    "RUN_FORMATS",
    "Ranking",
    "RunRetriever",
    "SUITES",
    "Suite",
    "Table",
    "TunedWeights",
    "bind_measures",
    "candidates",
    "compare",
    "diagnose",
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
    "parse_measures",
    "read_run",
    "report_on",
    "suite_of",
    "tune_weights",
    "wins",
    "write_passages",
    "write_report",
    "write_run",
]

__getattr__ = moved(
    __name__,
    {
        **dict.fromkeys(
            (
                "DemoSettings",
                "LEGEND",
                "LoggedRun",
                "Mining",
                "ReadingReport",
                "differences_table",
                "open_readers",
                "plot_training",
                "read_dataset",
                "read_training_runs",
                "refresh_table",
                "run_demo",
                "run_inferencer",
                "settings_table",
                "summary_table",
                "threads_beside",
                "train_on_dataset",
                "train_reader_on_dataset",
                "train_reranker_on_dataset",
                "write_run_page",
            ),
            "ance_ir.workflows",
        ),
        "NearestName": "ance_ir.pipelines",
    },
)
