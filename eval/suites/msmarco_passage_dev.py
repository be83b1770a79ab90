"""MS MARCO passage ranking."""

from ance_ir.eval.suites._suite import MSMARCO, Suite

SUITE = Suite(
    name="msmarco-passage/dev",
    describes="MS MARCO passage ranking, the 6,980 queries of the small development set",
    datasets="msmarco-passage/dev(/.*)?",
    measures=("RR@10", "nDCG@10", "R@1000"),
    candidates=1000,
    needs=f"{MSMARCO}, queries and judgements (20 MB)",
)
