"""Natural Questions over Wikipedia."""

from ance_ir.eval.suites._suite import COVERAGE, DPR, PAPER, WIKIPEDIA, Suite, figures

SUITE = Suite(
    name="nq",
    describes="Natural Questions over Wikipedia, 3,610 test questions: does a passage of the first k hold an answer?",
    datasets="(nq|dpr-w100/natural-questions)/(dev|train)|nq/test",
    measures=COVERAGE,
    depth=100,
    published=(
        *figures(DPR, {"DPR, single task": {"Coverage@20": 0.784, "Coverage@100": 0.854}}),
        *figures(
            PAPER,
            {
                "ANCE, single task": {"Coverage@20": 0.819, "Coverage@100": 0.875},
                "ANCE, multi task": {"Coverage@20": 0.821, "Coverage@100": 0.879},
            },
        ),
    ),
    published_on="nq(/test)?",
    needs=f"{WIKIPEDIA}, and the test questions (a file of 0.1 MB)",
)
