"""The collections of NanoBEIR."""

from ance_ir.eval.suites._suite import Suite

SUITE = Suite(
    name="nano-beir",
    describes="a collection of NanoBEIR; a result whose docno is the query's qid counts, as in sentence-transformers and mteb",
    datasets="nano-beir/.*",
    measures=("nDCG@10", "R@100"),
    depth=100,
)
