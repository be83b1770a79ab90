"""How an index is best searched, by measuring: recall against exact search, latency, memory, time to build."""

from ance_ir.eval.tuning.choice import Measured, Tuning
from ance_ir.eval.tuning.report import Form, plot_tuning, tuning_as, tuning_table, write_tuning
from ance_ir.eval.tuning.tuner import tune

__all__ = ["Form", "Measured", "Tuning", "plot_tuning", "tune", "tuning_as", "tuning_table", "write_tuning"]
