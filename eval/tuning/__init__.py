"""Tuning by measuring: the search of an index (recall, latency, memory, time to build), and the weights of a fusion."""

from ance_ir.eval.tuning.choice import Measured, Tuning
from ance_ir.eval.tuning.report import Form, plot_tuning, tuning_as, tuning_table, write_tuning
from ance_ir.eval.tuning.tuner import tune

__all__ = ["Form", "Measured", "Tuning", "plot_tuning", "tune", "tuning_as", "tuning_table", "write_tuning"]
