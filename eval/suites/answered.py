"""Any collection with answers and no judgements."""

from ance_ir.eval.suites._suite import COVERAGE, Suite

SUITE = Suite(
    name="answered",
    describes="a collection with answers instead of judgements",
    measures=COVERAGE,
    depth=100,
)
