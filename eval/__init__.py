"""Evaluation: runs, measures, experiments, significance tests, reports."""

from ance_ir.eval.across import BenchmarkEvaluation, CollectionResult, evaluate_on_datasets
from ance_ir.eval.benchmarks import Benchmark, Collection, find_benchmark
from ance_ir.eval.doctor import Finding, diagnose, findings_text
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.examination import diagnose_on_dataset, report_on_dataset
from ance_ir.eval.examples import Example, Ranking, format_example, queries_won
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.formats import format_evaluation
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
    mean_values,
    parse_measures,
    required_evidence,
)
from ance_ir.eval.on_dataset import evaluate_on_dataset
from ance_ir.eval.published import PublishedFigure, published_on, published_table, published_tables
from ance_ir.eval.report import write_report
from ance_ir.eval.runs import RUN_FORMATS, read_run, write_passages, write_run
from ance_ir.eval.runs.dataset_runs import RunRetriever, dataset_runs
from ance_ir.eval.runs.kept import KeptRuns
from ance_ir.eval.searching import RunFile, SystemRun, search_index, search_on_dataset
from ance_ir.eval.significance import compare
from ance_ir.eval.suites import SUITES, Suite, find_suite, published_for, suite_of
from ance_ir.eval.tables import Table
from ance_ir.eval.tuning.weights import TunedWeights, tune_weights
from ance_ir.moved import moved

__all__ = [
    "Benchmark",
    "BenchmarkEvaluation",
    "Collection",
    "CollectionResult",
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
    "PublishedFigure",
    "RUN_FORMATS",
    "Ranking",
    "RunFile",
    "RunRetriever",
    "SUITES",
    "Suite",
    "SystemRun",
    "Table",
    "TunedWeights",
    "bind_measures",
    "compare",
    "dataset_runs",
    "diagnose",
    "diagnose_on_dataset",
    "evaluate",
    "evaluate_on_dataset",
    "evaluate_on_datasets",
    "evaluate_systems",
    "find_benchmark",
    "find_suite",
    "findings_text",
    "format_evaluation",
    "format_example",
    "mean_values",
    "parse_measures",
    "published_for",
    "published_on",
    "published_table",
    "published_tables",
    "queries_won",
    "read_run",
    "report_on_dataset",
    "required_evidence",
    "search_index",
    "search_on_dataset",
    "suite_of",
    "tune_weights",
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
                "LoggedRun",
                "Mining",
                "ReadingReport",
                "differences_table",
                "open_readers",
                "plot_training",
                "read_training_runs",
                "refresh_table",
                "run_demo",
                "run_inferencer",
                "settings_table",
                "summary_table",
                "train_on_dataset",
                "train_reader_on_dataset",
                "train_reranker_on_dataset",
                "write_run_page",
            ),
            "ance_ir.workflows",
        ),
        "LEGEND": "ance_ir.workflows:SUMMARY_LEGEND",
        "NearestName": "ance_ir.pipelines",
        "candidates": "ance_ir.eval:dataset_runs",
        "examine": "ance_ir.eval:diagnose_on_dataset",
        "means": "ance_ir.eval:mean_values",
        "needs": "ance_ir.eval:required_evidence",
        "read_dataset": "ance_ir.workflows:evaluate_readers",
        "report_on": "ance_ir.eval:report_on_dataset",
        "threads_beside": "ance_ir.workflows:threads_per_process",
        "wins": "ance_ir.eval:queries_won",
    },
)
