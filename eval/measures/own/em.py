"""Whether the answer given equals a right one, as SQuAD compares them."""

from ance_ir.answers import exact_match
from ance_ir.eval.measures.base import AnswerMeasure


class EMMeasure(AnswerMeasure):
    """See the module."""

    NAME = __name__ = "EM"
    compare = exact_match


MEASURE = EMMeasure()
