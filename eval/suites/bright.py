"""The collections of BRIGHT."""

from ance_ir.eval.suites._suite import Suite

SUITE = Suite(
    name="bright",
    describes="a collection of BRIGHT; the documents that its authors exclude for a query (label -100) do not count",
    datasets="bright/.*",
    measures=("nDCG@10", "R@100"),
    depth=100,
    excluded=-100,
)
