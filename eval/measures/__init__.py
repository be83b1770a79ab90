"""Measures of effectiveness: those of ``ir_measures``, and ours among them."""

from ance_ir.eval.measures.evidence import Evidence
from ance_ir.eval.measures.names import DEFAULT_MEASURES, bind_measures, check_measures, needs, parse_measures
from ance_ir.eval.measures.own import EM, F1, Coverage, Hole, Overlap
from ance_ir.eval.measures.values import (
    NO_QRELS,
    asked_and_known,
    check_qrels,
    check_results,
    evaluate,
    evaluated_queries,
    judged,
    judged_queries,
    means,
    query_weights,
)

__all__ = [
    "Coverage",
    "DEFAULT_MEASURES",
    "EM",
    "Evidence",
    "F1",
    "Hole",
    "NO_QRELS",
    "Overlap",
    "asked_and_known",
    "bind_measures",
    "check_measures",
    "check_qrels",
    "check_results",
    "evaluate",
    "evaluated_queries",
    "judged",
    "judged_queries",
    "means",
    "needs",
    "parse_measures",
    "query_weights",
]
