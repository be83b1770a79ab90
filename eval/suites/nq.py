"""Natural Questions over Wikipedia."""

from ance_ir.eval.suites._suite import COVERAGE, WIKIPEDIA, Suite

SUITE = Suite(
    name="nq",
    describes="Natural Questions over Wikipedia, 3,610 test questions: does a passage of the first k hold an answer?",
    datasets="(nq|dpr-w100/natural-questions)/(dev|train)|nq/test",
    measures=COVERAGE,
    depth=100,
    needs=f"{WIKIPEDIA}, and the test questions (a file of 0.1 MB)",
)
