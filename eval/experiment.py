"""Systems side by side on one set of queries: measures, time, significance."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import pandas as pd
import pyterrier as pt
from tqdm import tqdm

from ance_ir.errors import EvaluationError
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.kept_runs import KeptRuns, run_key
from ance_ir.eval.measures import DEFAULT_MEASURES, check_qrels, evaluate, parse_measures
from ance_ir.eval.runs import check_run
from ance_ir.eval.significance import Correction, Test, check_test, compare, intervals

logger = logging.getLogger(__name__)


def evaluate_systems(
    systems: Mapping[str, pt.Transformer],
    queries: pd.DataFrame,
    qrels: pd.DataFrame,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    baseline: str | None = None,
    test: Test = "t",
    correction: Correction = "holm",
    kept: KeptRuns | None = None,
    verbose: bool = False,
) -> Evaluation:
    """Run each system over the queries that have judgements, and evaluate what it finds.

    Each system first answers one query, so that what it loads is not counted in its time.

    Args:
        systems: by name.
        queries: frame with ``qid`` and ``query``.
        qrels: frame with ``qid``, ``docno`` and ``label``; those of other queries are left out.
        measures: their names.
        baseline: the system with which the others are compared.
        test: how; see ``compare``.
        correction: of the tests, for their number; see ``compare``.
        kept: where each run is kept as soon as it is made, and from where one is taken, with its time, that the same pipeline made of
            the same queries before.
        verbose: show progress.

    Raises:
        EvaluationError: there is nothing to evaluate, or a system does not return a run.
        UsageError: an unknown measure, test or correction.
    """
    parse_measures(measures)
    check_test(test, correction)
    if not systems:
        raise EvaluationError("there is no system to evaluate")
    if baseline is not None and baseline not in systems:
        raise EvaluationError(f"the baseline {baseline!r} is none of the systems: {', '.join(systems)}")
    queries, qrels = _judged(queries, qrels)
    runs, per_query, ms_per_query, keys, reused = {}, {}, {}, {}, []
    for name, system in tqdm(systems.items(), desc="evaluating", unit=" systems", disable=not verbose):
        try:
            keys[name] = None if kept is None else run_key(system, queries)
            found = None if kept is None else kept.get(name, keys[name])
            if found:
                reused.append(name)
                logger.info("%s: the run of before is used again", name)
            runs[name], ms_per_query[name] = found or _run(system, queries)
            if kept is not None and not found:
                kept.put(name, keys[name], runs[name], ms_per_query[name])
            per_query[name] = evaluate(runs[name], qrels, measures)
        except EvaluationError as error:
            raise EvaluationError(f"system {name}: {error}") from error
        logger.info("%s: %s", name, per_query[name].mean().to_dict())
    return Evaluation(
        qrels=qrels,
        runs=runs,
        per_query=per_query,
        ms_per_query=ms_per_query,
        baseline=baseline,
        comparison=None if baseline is None else compare(per_query, baseline, test=test, correction=correction),
        intervals=intervals(per_query, baseline),
        test=test,
        correction=correction,
        keys=keys,
        reused=tuple(reused),
    )


def _run(system: pt.Transformer, queries: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """What a system finds, as a run, and milliseconds a query."""
    system.transform(queries.head(1))
    start = time.perf_counter()
    results = system.transform(queries)
    ms_per_query = 1000 * (time.perf_counter() - start) / len(queries)
    return check_run(results), ms_per_query


def _judged(queries: pd.DataFrame, qrels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The queries that have qrels, and the qrels of those queries."""
    missing = [column for column in ("qid", "query") if column not in queries.columns]
    if missing:
        raise EvaluationError(f"queries need the columns qid query; {' '.join(missing)} missing, found {' '.join(queries.columns)}")
    if queries.empty:
        raise EvaluationError("there are no queries")
    repeated = queries["qid"][queries["qid"].duplicated()]
    if len(repeated):
        raise EvaluationError(f"the query {repeated.iloc[0]!r} comes twice")
    check_qrels(qrels)
    judged = queries[queries["qid"].isin(qrels["qid"])].reset_index(drop=True)
    asked = qrels[qrels["qid"].isin(queries["qid"])].reset_index(drop=True)
    if judged.empty:
        first = f"{queries['qid'].head(1).item()!r} and {qrels['qid'].head(1).item()!r}"
        raise EvaluationError(f"queries and qrels have no query in common; their first are {first}")
    if len(judged) < len(queries):
        logger.info("%d of %d queries have no qrels and are left out", len(queries) - len(judged), len(queries))
    unasked = qrels["qid"].nunique() - len(judged)
    if unasked:
        logger.info("%d queries of the qrels are not asked and are left out", unasked)
    return judged, asked
