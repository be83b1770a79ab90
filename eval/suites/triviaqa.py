"""TriviaQA over Wikipedia."""

from ance_ir.eval.suites._suite import COVERAGE, DPR, PAPER, WIKIPEDIA, Suite, figures

SUITE = Suite(
    name="triviaqa",
    describes="TriviaQA over Wikipedia, 11,313 test questions: does a passage of the first k hold an answer?",
    datasets="(triviaqa|trivia-qa|dpr-w100/trivia-qa)/(dev|train)|triviaqa/test",
    measures=COVERAGE,
    depth=100,
    published=(
        *figures(DPR, {"DPR, single task": {"Coverage@20": 0.794, "Coverage@100": 0.850}}),
        *figures(
            PAPER,
            {
                "ANCE, single task": {"Coverage@20": 0.803, "Coverage@100": 0.853},
                "ANCE, multi task": {"Coverage@20": 0.803, "Coverage@100": 0.852},
            },
        ),
    ),
    published_on="triviaqa(/test)?",
    needs=f"{WIKIPEDIA}, and the test questions (a file of 1.4 MB)",
)
