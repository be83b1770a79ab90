"""Any collection with judgements."""

from ance_ir.eval.suites._suite import Suite

SUITE = Suite(
    name="judged",
    describes="a collection with judgements",
    measures=("RR@10", "nDCG@10", "R@100"),
)
