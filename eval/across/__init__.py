"""Evaluation over several collections: one table, and the mean over them."""

from ance_ir.eval.across.evaluation import BenchmarkEvaluation
from ance_ir.eval.across.result import CollectionResult
from ance_ir.eval.across.run import evaluate_on_datasets

__all__ = ["BenchmarkEvaluation", "CollectionResult", "evaluate_on_datasets"]
