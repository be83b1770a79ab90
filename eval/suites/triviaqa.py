"""TriviaQA over Wikipedia."""

from ance_ir.eval.suites._suite import COVERAGE, WIKIPEDIA, Suite

SUITE = Suite(
    name="triviaqa",
    describes="TriviaQA over Wikipedia, 11,313 test questions: does a passage of the first k hold an answer?",
    datasets="(triviaqa|trivia-qa|dpr-w100/trivia-qa)/(dev|train)|triviaqa/test",
    measures=COVERAGE,
    depth=100,
    needs=f"{WIKIPEDIA}, and the test questions (a file of 1.4 MB)",
)
