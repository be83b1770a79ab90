"""Systems side by side on one set of queries: measures, time, significance."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import pyterrier as pt
from tqdm import tqdm

from ance_ir.datasets.ids import clean_queries
from ance_ir.datasets.judgements import clean_qrels
from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.measures import (
    DEFAULT_MEASURES,
    NO_QRELS,
    Evidence,
    check_measures,
    evaluate,
    evaluated_queries,
    known_queries,
    parse_measures,
    query_weights,
    required_evidence,
)
from ance_ir.eval.runs import check_run
from ance_ir.eval.runs.kept import KeptRuns, run_key
from ance_ir.eval.significance import Correction, Test, check_test, compare, intervals
from ance_ir.notices import collected, examples
from ance_ir.ranking import without_itself

logger = logging.getLogger(__name__)


def evaluate_systems(
    systems: Mapping[str, pt.Transformer],
    queries: pd.DataFrame,
    qrels: pd.DataFrame | None,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    runs: Mapping[str, pd.DataFrame] | None = None,
    evidence: Evidence | None = None,
    baseline: str | None = None,
    test: Test = "t",
    correction: Correction = "holm",
    kept: KeptRuns | None = None,
    judged_in_part: bool = False,
    counts_itself: bool = True,
    verbose: bool = False,
) -> Evaluation:
    """Run each system over the queries that have judgements, or answers where a measure needs these, and evaluate what it finds.

    Each system first answers one query, so that what it loads is not counted in its time. Queries that are left out, and whatever else is
    warned of meanwhile, stand among the evaluation's notices.

    Args:
        systems: by name.
        queries: frame with ``qid`` and ``query``.
        qrels: frame with ``qid``, ``docno`` and ``label``; those of other queries are left out. ``None`` where no measure needs them.
        measures: their names; ``Overlap`` may name a system.
        runs: by name, what systems found elsewhere, evaluated beside: frames with ``qid``, ``docno`` and ``score``.
        evidence: what measures need beside runs and qrels.
        baseline: the system with which the others are compared.
        test: how; see ``compare``.
        correction: of the tests, for their number; see ``compare``.
        kept: where each run is kept as soon as it is made, and from where one is taken, with its time, that the same pipeline made of
            the same queries before.
        judged_in_part: whether only some of the queries are judged on purpose, so that leaving out the others is no news.
        counts_itself: whether a result counts whose docno is the query's qid; where not, it is taken out of each run, which should be one
            document deeper than is measured.
        verbose: show progress.

    Raises:
        EvaluationError: there is nothing to evaluate, or a system does not return a run.
        UsageError: an unknown measure, test or correction.
    """
    parsed = parse_measures(measures)
    check_test(test, correction)
    if not isinstance(systems, Mapping):
        raise UsageError('systems go by their names: {"bm25": bm25, "dense": dense}')
    for name, system in systems.items():
        if not hasattr(system, "transform"):
            raise UsageError(
                f"system {name}: expected a PyTerrier transformer, found {type(system).__name__}; pt.apply makes one of a function"
            )
    for name in [*systems, *(runs or {})]:
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"a system's name is a text, not {name!r}")
    given, evidence = dict(runs or {}), evidence or Evidence()
    names = [*systems, *given]
    if not names:
        raise EvaluationError("there is no system to evaluate")
    if twice := systems.keys() & given.keys():
        raise EvaluationError(f"a system and a run are both called {min(twice)!r}")
    if baseline is not None and baseline not in names:
        raise EvaluationError(f"the baseline {baseline!r} is none of the systems: {', '.join(names)}")
    check_measures(parsed, evidence, names)
    with collected() as notices:
        queries, qrels = _asked(queries, qrels, evidence, required_evidence(parsed), judged_in_part)
        found, ms_per_query, keys, reused = _found(systems, queries, kept, verbose)
        for name, run in given.items():
            with _about(name):
                found[name] = check_run(run)
        if not counts_itself:
            found = {name: without_itself(run) for name, run in found.items()}
        evidence, per_query = evidence.with_runs(found), {}
        for name, run in found.items():
            with _about(name):
                values = evaluate(run, qrels, measures, evidence=evidence)
            per_query[name] = values[values.index.isin(queries["qid"])]
            without = queries["qid"][~queries["qid"].isin(run["qid"])]
            if len(without):
                logger.warning(
                    "%s: no results for %d of %d queries (%s), which count 0", name, len(without), len(queries), examples(without)
                )
            logger.info("%s: %s", name, per_query[name].mean().to_dict())
    weights = {name: query_weights(per_query[name], run) for name, run in found.items()}
    return Evaluation(
        qrels=NO_QRELS if qrels is None else qrels,
        runs=found,
        per_query=per_query,
        ms_per_query=ms_per_query,
        baseline=baseline,
        comparison=None if baseline is None else compare(per_query, baseline, weights=weights, test=test, correction=correction),
        intervals=intervals(per_query, baseline, weights=weights),
        test=test,
        correction=correction,
        keys=keys,
        reused=tuple(reused),
        counts_itself=counts_itself,
        notices=tuple(notices),
    )


def _found(
    systems: Mapping[str, pt.Transformer], queries: pd.DataFrame, kept: KeptRuns | None, verbose: bool
) -> tuple[dict[str, pd.DataFrame], dict[str, float], dict[str, str | None], list[str]]:
    """By system, its run, milliseconds a query and what made the run; and the systems whose runs were kept from before."""
    found, ms_per_query, keys, reused = {}, {}, {}, []
    for name, system in tqdm(systems.items(), desc="evaluating", unit=" systems", disable=not verbose):
        with _about(name), collected() as notices:
            keys[name] = None if kept is None else run_key(system, queries)
            before = None if kept is None else kept.get(name, keys[name])
            if before:
                reused.append(name)
                logger.info("%s: the run of before is used again", name)
            found[name], ms_per_query[name] = before or _run(system, queries)
            if kept is not None and not before:
                kept.put(name, keys[name], found[name], ms_per_query[name], notices)
    return found, ms_per_query, keys, reused


def _run(system: pt.Transformer, queries: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """What a system finds, as a run, and milliseconds a query."""
    system.transform(queries.head(1))
    start = time.perf_counter()
    results = system.transform(queries)
    ms_per_query = 1000 * (time.perf_counter() - start) / len(queries)
    return check_run(results), ms_per_query


@contextlib.contextmanager
def _about(system: str) -> Iterator[None]:
    """While entered, an error of evaluation says which system it is about."""
    try:
        yield
    except EvaluationError as error:
        raise EvaluationError(f"system {system}: {error}") from error


def _asked(
    queries: pd.DataFrame, qrels: pd.DataFrame | None, evidence: Evidence, needed: set[str], judged_in_part: bool
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The queries that count, and the qrels of those queries."""
    missing = [column for column in ("qid", "query") if column not in queries.columns]
    if missing:
        raise EvaluationError(f"queries need the columns qid query; {' '.join(missing)} missing, found {' '.join(queries.columns)}")
    if queries.empty:
        raise EvaluationError("there are no queries")
    queries, qrels = clean_queries(queries), None if qrels is None else clean_qrels(qrels)
    counting = evaluated_queries(qrels, evidence, needed)
    what = " and ".join(sorted(needed, reverse=True)) or "qrels"
    if not queries["qid"].isin(counting).any():
        first = f"{queries['qid'].head(1).item()!r} and {str(counting[0])!r}"
        raise EvaluationError(f"queries and {what} have no query in common; their first are {first}")
    asked = known_queries(queries, counting, what, in_part=judged_in_part)
    return asked, None if qrels is None else qrels[qrels["qid"].isin(asked["qid"])].reset_index(drop=True)
