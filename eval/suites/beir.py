"""The collections of BEIR."""

from ance_ir.eval.suites._suite import Suite

SUITE = Suite(
    name="beir",
    describes="a collection of BEIR; a result whose docno is the query's qid does not count",
    datasets="beir/.*",
    measures=("nDCG@10", "R@100"),
    depth=100,
    counts_itself=False,
)
