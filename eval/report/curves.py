"""Curves over all queries: precision by recall, score by rank."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ance_ir.eval.rankings import with_labels

LEVELS = np.arange(11) / 10
"""Of recall."""


def precision_by_recall(run: pd.DataFrame, qrels: pd.DataFrame, relevant: int = 1) -> npt.NDArray[np.float64]:
    """Interpolated precision at 11 levels of recall, float64 ``[11]``: trec_eval's ``iprec_at_recall``, mean over queries.

    Args:
        run: ``qid docno score rank``.
        qrels: ``qid docno label``.
        relevant: labels from this on are relevant; queries without such a document are left out.

    Returns:
        The means; zeros where no query has a relevant document.
    """
    known = qrels["qid"][qrels["label"] >= relevant].value_counts()
    if known.empty:
        return np.zeros(len(LEVELS))
    hits = with_labels(run, qrels).query("label >= @relevant").sort_values(["qid", "rank"])
    number = hits.groupby("qid").cumcount() + 1
    precision = (number / (hits["rank"] + 1))[::-1].groupby(hits["qid"]).cummax()[::-1]
    best = pd.Series(precision.to_numpy(), index=pd.MultiIndex.from_arrays([hits["qid"], number]))
    curve = []
    for level in LEVELS:
        # trec_eval rounds so, which keeps a level of, say, 0.3 of 10 documents at the third
        needed = np.maximum(1, np.floor(level * known.to_numpy() + 0.9)).astype(int)
        curve.append(best.reindex(pd.MultiIndex.from_arrays([known.index, needed])).fillna(0.0).mean())
    return np.array(curve)


def scores_by_rank(run: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Lower quartile, mean and upper quartile of the scores at each rank, float64 ``[ranks, 3]``, over the queries with so many results.

    Args:
        run: ``qid docno score rank``.
    """
    by_rank = run.groupby("rank")["score"]
    return np.column_stack([by_rank.quantile(0.25), by_rank.mean(), by_rank.quantile(0.75)])
