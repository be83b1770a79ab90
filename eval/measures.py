"""Measures of effectiveness by name, for each query, over the one order of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import ir_measures
import pandas as pd

from ance_ir.datasets import Dataset
from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval.runs import check_run

_PIPELINE: Any = ir_measures.DefaultPipeline

DEFAULT_MEASURES = ("RR@10", "nDCG@10", "R@100")


def parse_measures(names: Iterable[str]) -> list[Any]:
    """The ``ir_measures`` objects of names; ``str`` of one is its one name: ``MRR@10`` is ``RR@10``, ``MAP`` is ``AP``.

    Raises:
        UsageError: there is no such measure, nothing installed computes it, or there are no names.
    """
    measures: dict[Any, None] = {}
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
            known = _PIPELINE.supports(measure)
        except (AssertionError, NameError, ValueError):
            known = False
        if not known:
            raise UsageError(f"unknown measure {name!r}; known are, for example, RR@10, nDCG@10, R@100 (with a cutoff) and AP(rel=2)")
        measures[measure] = None
    if not measures:
        raise UsageError(f"no measure was named; {' '.join(DEFAULT_MEASURES)}, for example")
    return list(measures)


def evaluate(run: pd.DataFrame, qrels: pd.DataFrame, measures: Sequence[str] = DEFAULT_MEASURES) -> pd.DataFrame:
    """The value of each measure for each query of the qrels; a query that the run lacks counts as one without results.

    Queries that the qrels lack are left out, as trec_eval does. The order is ``rank_results``' even among equal scores.

    Args:
        run: frame with ``qid``, ``docno`` and ``score``.
        qrels: frame with ``qid``, ``docno`` and ``label`` (int).
        measures: their names.

    Returns:
        float64 frame: index ``qid``, in the order of the qrels; a column for each measure.

    Raises:
        EvaluationError: a column is missing, or run and qrels have no query in common.
        UsageError: an unknown measure.
    """
    parsed = parse_measures(measures)
    run = check_run(run)
    check_qrels(qrels)
    qids = qrels["qid"].unique()
    if len(run) and not run["qid"].isin(qids).any():
        first = f"{run['qid'].head(1).item()!r} and {str(qids[0])!r}"
        raise EvaluationError(f"run and qrels have no query in common; their first are {first}")
    run = run[run["qid"].isin(qids)]
    scored = pd.DataFrame({"query_id": run["qid"], "doc_id": run["docno"], "score": -run["rank"].astype(float)})
    judged = qrels.rename(columns={"qid": "query_id", "docno": "doc_id", "label": "relevance"})[["query_id", "doc_id", "relevance"]]
    values: dict[Any, dict[str, float]] = {measure: {} for measure in parsed}
    for metric in _PIPELINE.iter_calc(parsed, judged, scored):
        values[metric.measure][metric.query_id] = float(metric.value)
    return pd.DataFrame({str(measure): value for measure, value in values.items()}, index=pd.Index(qids, name="qid"))


def judged(dataset: Dataset, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The queries of a split that have judgements, and the judgements.

    Raises:
        EvaluationError: there are none.
    """
    queries, qrels = dataset.queries(split), dataset.qrels(split)
    queries = queries[queries["qid"].isin(qrels["qid"])]
    if queries.empty:
        raise EvaluationError(f"{dataset.name}, split {split!r}: there are no judged queries to evaluate on")
    return queries, qrels


def check_qrels(qrels: pd.DataFrame) -> None:
    """Refuse a frame that holds no judgements.

    Raises:
        EvaluationError: it lacks a column, or has no rows.
    """
    missing = [column for column in ("qid", "docno", "label") if column not in qrels.columns]
    if missing:
        raise EvaluationError(f"qrels need the columns qid docno label; {' '.join(missing)} missing, found {' '.join(qrels.columns)}")
    if qrels.empty:
        raise EvaluationError("there are no qrels")
