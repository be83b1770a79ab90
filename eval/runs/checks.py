"""Checks of runs, which are frames with ``qid docno score rank``, and of answers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ance_ir.datasets.ids import clean_ids
from ance_ir.errors import EvaluationError
from ance_ir.ranking import rank_results

_RUN = ["qid", "docno", "score"]
_ANSWERS = ["qid", "qanswer"]


def check_run(run: pd.DataFrame) -> pd.DataFrame:
    """A run in the one order of results.

    Args:
        run: frame with ``qid``, ``docno`` and ``score``; other columns are left out, a rank too.

    Returns:
        A new frame: ``qid docno score rank``, rank from 0.

    Raises:
        EvaluationError: a column is missing, a qid or docno is no string or holds white space, a score is no finite number, or a document
            comes twice for a query.
    """
    _refuse_missing(run, _RUN, "a run")
    try:
        run = clean_ids(run[_RUN], ("qid", "docno"), "the run").astype({"score": float})
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"scores are numbers: {error}") from error
    for fault, rows in (("has no finite score", ~np.isfinite(run["score"])), ("comes twice", run.duplicated(["qid", "docno"]))):
        if rows.any():
            first = run[rows].iloc[0]
            raise EvaluationError(f"query {first['qid']}: document {first['docno']} {fault}")
    return rank_results(run)


def check_answers(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers that a system gave.

    Args:
        answers: frame with ``qid`` and ``qanswer``; other columns are left out.

    Returns:
        A new frame: ``qid qanswer``, an empty string where a question has no answer.

    Raises:
        EvaluationError: a column is missing, or a question comes twice.
    """
    _refuse_missing(answers, _ANSWERS, "answers")
    answers = clean_ids(answers, ("qid",), "the answers")
    repeated = answers["qid"][answers["qid"].duplicated()]
    if len(repeated):
        raise EvaluationError(f"the question {repeated.iloc[0]!r} has two answers; give only the best one")
    return answers[_ANSWERS].fillna({"qanswer": ""})


def _refuse_missing(frame: object, columns: list[str], what: str) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise EvaluationError(f"{what}: expected a frame with the columns {' '.join(columns)}, found {type(frame).__name__}")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        verb = "needs" if what.startswith("a ") else "need"
        raise EvaluationError(
            f"{what} {verb} the columns {' '.join(columns)}; {' '.join(missing)} missing, found {' '.join(frame.columns)}"
        )
