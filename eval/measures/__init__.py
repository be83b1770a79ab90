"""Measures of effectiveness: those of ``ir_measures``, and our own."""

from ance_ir.eval.measures.evidence import Evidence
from ance_ir.eval.measures.names import DEFAULT_MEASURES, bind_measures, check_measures, parse_measures, required_evidence
from ance_ir.eval.measures.own import OWN_MEASURES
from ance_ir.eval.measures.own.coverage import MEASURE as Coverage
from ance_ir.eval.measures.own.em import MEASURE as EM
from ance_ir.eval.measures.own.f1 import MEASURE as F1
from ance_ir.eval.measures.own.hole import MEASURE as Hole
from ance_ir.eval.measures.own.overlap import MEASURE as Overlap
from ance_ir.eval.measures.values import (
    NO_QRELS,
    check_qrels,
    check_results,
    evaluate,
    evaluated_queries,
    judged_queries,
    judged_split,
    known_queries,
    mean_values,
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
    "OWN_MEASURES",
    "Overlap",
    "bind_measures",
    "check_measures",
    "check_qrels",
    "check_results",
    "evaluate",
    "evaluated_queries",
    "judged_queries",
    "judged_split",
    "known_queries",
    "mean_values",
    "parse_measures",
    "query_weights",
    "required_evidence",
]
