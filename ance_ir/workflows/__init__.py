"""What joins the layers: training on a dataset, mining for it, reading its questions, and training runs as they lie on disk."""

from ance_ir.workflows.demo import DemoSettings, run_demo
from ance_ir.workflows.dense import threads_beside, train_on_dataset
from ance_ir.workflows.inferencer import run_inferencer
from ance_ir.workflows.mining import Mining
from ance_ir.workflows.reader import train_reader_on_dataset
from ance_ir.workflows.reading import ReadingReport, open_readers, read_dataset
from ance_ir.workflows.reranker import train_reranker_on_dataset
from ance_ir.workflows.runs.logged import LoggedRun, read_training_runs
from ance_ir.workflows.runs.page import write_run_page
from ance_ir.workflows.runs.plots import plot_training
from ance_ir.workflows.runs.settings import differences_table, settings_table
from ance_ir.workflows.runs.tables import LEGEND, refresh_table, summary_table

__all__ = [
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
]
