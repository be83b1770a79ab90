"""The runs and judgements of an evaluation, as the doctor and the report read them."""

from __future__ import annotations

import re
import unicodedata

import pandas as pd

from ance_ir.eval.evaluation import Evaluation

_RUN = ["qid", "docno", "score", "rank"]
_QRELS = ["qid", "docno", "label"]


def evaluated_qids(evaluation: Evaluation) -> pd.Index:
    """The qids that were evaluated."""
    return next(iter(evaluation.per_query.values())).index


def evaluated_qrels(evaluation: Evaluation) -> pd.DataFrame:
    """``qid docno label`` of the queries that were evaluated; empty where no measure needs any."""
    qrels = evaluation.qrels
    return qrels.loc[qrels["qid"].isin(evaluated_qids(evaluation)), _QRELS].astype({"label": "int64"})


def evaluated_results(evaluation: Evaluation, system: str) -> pd.DataFrame:
    """A system's ``qid docno score rank`` of the queries that were evaluated."""
    run = evaluation.runs[system]
    return run.loc[run["qid"].isin(evaluated_qids(evaluation)), _RUN].astype({"score": "float64", "rank": "int64"})


def with_labels(run: pd.DataFrame, qrels: pd.DataFrame) -> pd.DataFrame:
    """The rows of a run in their order, with a column ``label``: NaN where a document was not judged."""
    return run.merge(qrels[_QRELS], on=["qid", "docno"], how="left")


def same_text(text: str) -> str:
    """A key that is equal for texts that differ only in case, white space, punctuation or Unicode form."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))
