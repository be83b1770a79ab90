"""CuratedTREC over Wikipedia."""

from ance_ir.eval.suites._suite import COVERAGE, WIKIPEDIA, Suite

SUITE = Suite(
    name="curated-trec",
    describes="CuratedTREC over Wikipedia, 694 test questions whose answers are regular expressions",
    datasets="curated-trec/test",
    measures=tuple(measure.replace("@", "(patterns=True)@") for measure in COVERAGE),
    depth=100,
    needs=f"{WIKIPEDIA}, and the test questions (a file of 0.1 MB)",
)
