"""Harmonic mean of the precision and recall of the words of the answer given, as SQuAD computes it."""

from ance_ir.answers import f1
from ance_ir.eval.measures.base import AnswerMeasure


class F1Measure(AnswerMeasure):
    """See the module."""

    NAME = __name__ = "F1"
    compare = f1


MEASURE = F1Measure()
