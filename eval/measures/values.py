"""The values of measures for each query, over the one order of results."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.datasets import Dataset
from ance_ir.datasets.ids import clean_queries
from ance_ir.datasets.judgements import clean_qrels
from ance_ir.errors import EvaluationError
from ance_ir.eval.measures.base import OwnMeasure
from ance_ir.eval.measures.evidence import Evidence
from ance_ir.eval.measures.names import DEFAULT_MEASURES, PIPELINE, bind_measures, parse_measures, required_evidence
from ance_ir.eval.runs import check_run
from ance_ir.notices import examples

logger = logging.getLogger(__name__)

NO_QRELS = pd.DataFrame({"qid": [], "docno": [], "label": []}).astype({"qid": str, "docno": str, "label": "int64"})
"""Stands for qrels where no measure needs any."""


def evaluate(
    run: pd.DataFrame,
    qrels: pd.DataFrame | None,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    evidence: Evidence | None = None,
) -> pd.DataFrame:
    """The value of each measure for each query; a query that the run lacks counts as one without results.

    The queries are those of the qrels, and where a measure needs answers, those that have answers. The others of the run are left out, as
    trec_eval does. The order of results is ``rank_results``' even among equal scores.

    Args:
        run: frame with ``qid``, ``docno`` and ``score``; for EM and F1 alone, with ``qid`` and ``qanswer``.
        qrels: frame with ``qid``, ``docno`` and ``label`` (int); ``None`` where no measure needs them.
        measures: their names.
        evidence: what measures need in addition to run and qrels.

    Returns:
        float64 frame: index ``qid``, in the order of the qrels and then of the answers; a column for each measure, which holds NaN for
        queries that the measure is not defined for, having no qrels or no answers.

    Raises:
        EvaluationError: a column is missing, run and queries have none in common, or the evidence does not suffice for a measure.
        UsageError: an unknown measure.
    """
    evidence = evidence or Evidence()
    bound = bind_measures(measures, evidence)
    needed = required_evidence(bound)
    qrels = None if qrels is None else clean_qrels(qrels)
    qids = evaluated_queries(qrels, evidence, needed)
    qrels = NO_QRELS if qrels is None else qrels
    run = check_results(run, bound)
    if len(run) and not run["qid"].isin(qids).any():
        what = "qrels" if "qrels" in needed else "questions"
        raise EvaluationError(f"run and {what} have no query in common; their first are {run['qid'].head(1).item()!r} and {str(qids[0])!r}")
    own = [measure for measure in bound if isinstance(measure, OwnMeasure)]
    others = [measure for measure in bound if not isinstance(measure, OwnMeasure)]
    columns = _calculated(others, run, qrels) if others else {}
    for measure in sorted(own, key=lambda one: -one.params.get("cutoff", 0)):  # the deepest looks up all that the others ask for
        found = measure.values(run, qrels)
        columns[str(measure)] = {qid: float(found.get(qid, 0.0)) for qid in measure.defined(qids, qrels)}
    return pd.DataFrame({str(measure): columns[str(measure)] for measure in bound}, index=qids, dtype=float)


def mean_values(per_query: pd.DataFrame, run: pd.DataFrame) -> pd.Series[float]:
    """One value for each measure: the mean over the queries for which it is defined.

    That of ``Hole@k`` is pooled, as it is reported in the literature: all unjudged documents in the top k of any query, divided by all
    documents there. It is the mean weighted by how many documents each query has in its top k.

    Args:
        per_query: as ``evaluate`` returns it.
        run: the frame that was evaluated.
    """
    weights = query_weights(per_query, run)
    sums = weights.sum()
    pooled = (per_query * weights).sum() / sums.where(sums > 0, 1.0)  # a run without a document has no hole
    return pooled.where(per_query.notna().any())


def query_weights(per_query: pd.DataFrame, run: pd.DataFrame) -> pd.DataFrame:
    """How much each query counts in the mean of each measure, a frame like ``per_query``: see ``mean_values``."""
    columns = {}
    for name, measure in zip(per_query.columns, parse_measures(per_query.columns), strict=True):
        values = per_query[name]
        columns[name] = measure.weights(values, run) if isinstance(measure, OwnMeasure) else values.notna().astype(float)
    return pd.DataFrame(columns, index=per_query.index)


def check_results(results: pd.DataFrame, measures: Sequence[Any]) -> pd.DataFrame:
    """The frame that measures evaluate, in the one order: a run, or answers where no measure looks at documents.

    Raises:
        EvaluationError: it is not what the measures need.
    """
    reads = {str(measure): type(measure).READS if isinstance(measure, OwnMeasure) else check_run for measure in measures}
    of_answers = [name for name, check in reads.items() if check is not check_run]
    if 0 < len(of_answers) < len(reads):
        raise EvaluationError(f"{', '.join(of_answers)} evaluate answers, the other measures documents: evaluate them separately")
    return next(iter(reads.values()))(results)


def evaluated_queries(qrels: pd.DataFrame | None, evidence: Evidence, needed: set[str]) -> pd.Index:
    """The queries that count, in order: those of the qrels where these are needed, then those that have answers where these are.

    Where neither is needed, those of the qrels, and where there are none, those that have answers.

    Args:
        qrels: frame with ``qid``, ``docno`` and ``label``.
        evidence: its answers count.
        needed: of ``"qrels"`` and ``"answers"``.

    Raises:
        EvaluationError: the qrels are missing.
    """
    if not needed:
        needed = {"qrels" if qrels is not None or evidence.answers is None else "answers"}
    sources = []
    if "qrels" in needed:
        if qrels is None:
            raise EvaluationError("there are no qrels")
        if qrels.empty:
            raise EvaluationError("there are no qrels")
        sources.append(qrels["qid"])
    if "answers" in needed and evidence.answers is not None:
        sources.append(evidence.answers["qid"])
    qids: pd.Index = pd.Index(pd.concat(sources).unique(), name="qid")
    return qids


def _calculated(measures: Sequence[Any], run: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The values of the measures of ``ir_measures``, by measure and query.

    Measures are computed together only where none changes another one's values: those of one provider, with equal gains, over the same
    documents. Queries go by numbers meanwhile, since a provider (gdeval) takes no other names.

    Raises:
        EvaluationError: a provider fails.
    """
    qids = pd.Index(qrels["qid"].unique())
    run = run[run["qid"].isin(qids)]
    scored = pd.DataFrame({"query_id": _numbered(run["qid"], qids), "doc_id": run["docno"], "score": -run["rank"].astype(float)})
    judged = qrels.rename(columns={"docno": "doc_id", "label": "relevance"}).assign(query_id=_numbered(qrels["qid"], qids))
    judged = judged[["query_id", "doc_id", "relevance"]]
    together: dict[tuple[Any, ...], list[Any]] = {}
    for measure in measures:
        provider = next(one for one in PIPELINE.providers if one.is_available() and one.supports(measure))
        key = (provider.NAME, bool(measure.params.get("judged_only")), repr(measure.params.get("gains")))
        together.setdefault(key, [provider]).append(measure)
    values: dict[str, dict[str, float]] = {str(measure): {} for measure in measures}
    for provider, *those in together.values():
        try:
            for metric in provider.iter_calc(those, judged, scored):
                values[str(metric.measure)][qids[int(metric.query_id)]] = float(metric.value)
        except Exception as error:  # providers raise anything
            message = " ".join(str(error).split()) or type(error).__name__
            raise EvaluationError(f"{', '.join(map(str, those))} cannot be computed; {provider.NAME} says: {message}") from error
    return values


def _numbered(names: pd.Series[str], qids: pd.Index) -> np.ndarray:
    """The places of queries among all, as str."""
    return qids.get_indexer(pd.Index(names)).astype(str).astype(object)


def known_queries(queries: pd.DataFrame, known: pd.Index, what: str, *, in_part: bool = False) -> pd.DataFrame:
    """The queries that have judgements or answers. A warning names those left out on either side.

    Args:
        queries: frame with ``qid``.
        known: the distinct qids that have them.
        what: ``"qrels"`` or ``"answers"``, for messages.
        in_part: whether only some queries have them on purpose, so that leaving out the others needs no warning.
    """
    without = queries["qid"][~queries["qid"].isin(known)]
    if len(without):
        message = "%d of %d queries have no %s and are left out (%s)"
        logger.log(logging.INFO if in_part else logging.WARNING, message, len(without), len(queries), what, examples(without))
    others = known[~known.isin(queries["qid"])]
    if len(others):
        message = "%d of %d queries of the %s are not evaluated and are left out (%s)"
        logger.warning(message, len(others), len(known), what, examples(others))
    return queries[queries["qid"].isin(known)].reset_index(drop=True)


def judged_split(dataset: Dataset, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The queries of a split that have judgements, and the judgements.

    Warnings name queries that are left out, see ``known_queries``, and those without a relevant document.

    Raises:
        EvaluationError: there are none.
    """
    queries, qrels = clean_queries(dataset.queries(split)), clean_qrels(dataset.qrels(split))
    if not queries["qid"].isin(qrels["qid"]).any():
        raise EvaluationError(f"{dataset.name}, split {split!r}: there are no judged queries to evaluate on")
    return judged_queries(queries, qrels, f"qrels of {split}"), qrels


def judged_queries(queries: pd.DataFrame, qrels: pd.DataFrame, what: str) -> pd.DataFrame:
    """The queries that have judgements. Warnings name queries that are left out, and those without a relevant document.

    Args:
        queries: frame with ``qid``.
        qrels: as ``check_qrels`` returns them.
        what: names the judgements, for messages.

    Raises:
        EvaluationError: none has.
    """
    if not queries["qid"].isin(qrels["qid"]).any():
        first = f"; their first are {queries['qid'].iloc[0]!r} and {qrels['qid'].iloc[0]!r}" if len(queries) and len(qrels) else ""
        raise EvaluationError(f"queries and {what} have no query in common{first}")
    judged = known_queries(queries, pd.Index(qrels["qid"].unique()), what)
    without = judged["qid"][~judged["qid"].isin(qrels["qid"][qrels["label"] > 0])]
    if len(without):
        message = "%d of %d judged queries have no relevant document in the %s (%s), and count 0 for every system"
        logger.warning(message, len(without), len(judged), what, examples(without))
    return judged


def check_qrels(qrels: pd.DataFrame) -> pd.DataFrame:
    """Judgements as ``clean_qrels`` has them, at least one.

    Raises:
        EvaluationError: it lacks a column, has no rows, ids or labels that are none, or two labels for a query and a document.
    """
    qrels = clean_qrels(qrels)
    if qrels.empty:
        raise EvaluationError("there are no qrels")
    return qrels
