"""What joins the layers: training on a dataset, mining for it, answering its questions, and training runs on disk."""

from ance_ir.moved import moved
from ance_ir.workflows.demo import DemoSettings, run_demo
from ance_ir.workflows.dense import DenseTraining, train_on_dataset
from ance_ir.workflows.hard_negatives import HardNegatives, MinedRecords, MiningReport, Suspect, mine_negatives, write_negatives
from ance_ir.workflows.inferencer import run_inferencer, threads_per_process
from ance_ir.workflows.mining import Mining
from ance_ir.workflows.reader import ReaderTraining, train_reader_on_dataset
from ance_ir.workflows.reading import ReadingReport, evaluate_readers, open_readers
from ance_ir.workflows.reranker import RerankerTraining, train_reranker_on_dataset
from ance_ir.workflows.runs.logged import LoggedRun, read_training_runs
from ance_ir.workflows.runs.page import write_run_page
from ance_ir.workflows.runs.plots import plot_training
from ance_ir.workflows.runs.settings import differences_table, settings_table
from ance_ir.workflows.runs.tables import SUMMARY_LEGEND, refresh_table, summary_table

__getattr__ = moved(
    __name__,
    {
        "LEGEND": "ance_ir.workflows:SUMMARY_LEGEND",
        "read_dataset": "ance_ir.workflows:evaluate_readers",
        "threads_beside": "ance_ir.workflows:threads_per_process",
    },
)

__all__ = [
    "DemoSettings",
    "DenseTraining",
    "HardNegatives",
    "LoggedRun",
    "MinedRecords",
    "Mining",
    "MiningReport",
    "ReaderTraining",
    "ReadingReport",
    "RerankerTraining",
    "SUMMARY_LEGEND",
    "Suspect",
    "differences_table",
    "evaluate_readers",
    "mine_negatives",
    "open_readers",
    "plot_training",
    "read_training_runs",
    "refresh_table",
    "run_demo",
    "run_inferencer",
    "settings_table",
    "summary_table",
    "threads_per_process",
    "train_on_dataset",
    "train_reader_on_dataset",
    "train_reranker_on_dataset",
    "write_negatives",
    "write_run_page",
]
