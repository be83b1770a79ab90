"""Systems compared on one set of queries: measures, time, significance."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypedDict

import pandas as pd
import pyterrier as pt
from tqdm.auto import tqdm

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
from ance_ir.pipelines import Excluded
from ance_ir.pipelines.bm25.languages import stemmed_languages
from ance_ir.ranking import without_itself

logger = logging.getLogger(__name__)

Announce = Callable[[Mapping[str, pt.Transformer], pd.DataFrame], AbstractContextManager[object]]
"""From systems and the queries that they are asked to what is entered meanwhile."""


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
    excluded: Excluded | None = None,
    announce: Announce | None = None,
    verbose: bool = False,
) -> Evaluation:
    """Run each system over the queries with judgements, or with answers where a measure needs these, and evaluate the runs.

    Each system first answers one query, so that loading does not count in its time. Warnings go into the evaluation's notices.

    Args:
        systems: by name.
        queries: frame with ``qid`` and ``query``.
        qrels: frame with ``qid``, ``docno`` and ``label``; those of other queries are left out. ``None`` where no measure needs them.
        measures: their names; ``Overlap`` may name a system.
        runs: by name, runs made elsewhere, evaluated like the systems: frames with ``qid``, ``docno`` and ``score``.
        evidence: what measures need in addition to runs and qrels.
        baseline: the system with which the others are compared.
        test: of the differences; see ``compare``.
        correction: of the tests, for their number; see ``compare``.
        kept: keeps each run as soon as it is made, and gives the runs, with their times, that the same pipelines made of the same queries.
        judged_in_part: whether only some of the queries are judged on purpose, so that leaving out the others needs no warning.
        counts_itself: whether a result counts whose docno is the query's qid; if not, it is taken out of each run, which should be one
            document deeper than measured.
        excluded: documents that do not count for a query; they are taken out of each run.
        announce: gets the systems that are run, those with a kept run left out, and the queries; entered until their runs are evaluated.
        verbose: show progress.

    Raises:
        EvaluationError: there is nothing to evaluate, or a system does not return a run.
        UsageError: an unknown measure, test or correction.
    """
    parsed, given, evidence = parse_measures(measures), dict(runs or {}), evidence or Evidence()
    check_test(test, correction)
    _check_systems(systems, given, baseline)
    check_measures(parsed, evidence, [*systems, *given])
    with collected() as notices:
        queries, qrels = _evaluated(queries, qrels, evidence, required_evidence(parsed), judged_in_part)
        with _announced(systems, queries, kept, announce) as keys:
            made = _make_runs(systems, queries, kept, keys, verbose)
            made["runs"] = _checked(made["runs"], given, counts_itself, excluded)
            per_query = _values(made["runs"], queries, qrels, measures, evidence)
    weights = {name: query_weights(per_query[name], run) for name, run in made["runs"].items()}
    comparison = None if baseline is None else compare(per_query, baseline, weights=weights, test=test, correction=correction)
    limits = intervals(per_query, baseline, weights=weights)
    tests: Any = {"baseline": baseline, "comparison": comparison, "intervals": limits, "test": test, "correction": correction}
    judged: Any = {"qrels": NO_QRELS if qrels is None else qrels, "counts_itself": counts_itself, "excluded": len(excluded or ())}
    return Evaluation(per_query=per_query, notices=tuple(notices), **judged, **made, **tests)


class _Made(TypedDict):
    """Fields of an ``Evaluation``."""

    runs: Mapping[str, pd.DataFrame]
    ms_per_query: Mapping[str, float]
    keys: Mapping[str, str | None]
    reused: tuple[str, ...]
    stemmed: Mapping[str, frozenset[str]]


def _check_systems(systems: Mapping[str, pt.Transformer], runs: Mapping[str, pd.DataFrame], baseline: str | None) -> None:
    """Refuse systems and runs that cannot be evaluated together.

    Raises:
        UsageError: a system without a name, or that is no transformer.
        EvaluationError: there are none, or two of one name, or the baseline is none of them.
    """
    if not isinstance(systems, Mapping):
        raise UsageError('expected systems by name: {"bm25": bm25, "dense": dense}')
    for name, system in systems.items():
        if not hasattr(system, "transform"):
            kind = type(system).__name__
            raise UsageError(f"system {name}: expected a PyTerrier transformer, found {kind}; pt.apply makes one of a function")
    names = [*systems, *runs]
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"the name of a system must be text, not {name!r}")
    if not names:
        raise EvaluationError("there is no system to evaluate")
    if twice := systems.keys() & runs.keys():
        raise EvaluationError(f"a system and a run are both called {min(twice)!r}")
    if baseline is not None and baseline not in names:
        raise EvaluationError(f"the baseline {baseline!r} is none of the systems: {', '.join(names)}")


def _checked(
    made: Mapping[str, pd.DataFrame], given: Mapping[str, pd.DataFrame], counts_itself: bool, excluded: Excluded | None
) -> dict[str, pd.DataFrame]:
    """All runs, those of systems and those made elsewhere."""
    runs = dict(made)
    for name, run in given.items():
        with _about(name):
            runs[name] = check_run(run)
    if excluded is not None:
        runs = {name: excluded.without(run) for name, run in runs.items()}
    return runs if counts_itself else {name: without_itself(run) for name, run in runs.items()}


def _values(
    runs: Mapping[str, pd.DataFrame], queries: pd.DataFrame, qrels: pd.DataFrame | None, measures: Sequence[str], evidence: Evidence
) -> dict[str, pd.DataFrame]:
    """By system, the values of its run for each of the queries."""
    evidence, per_query = evidence.with_runs(runs), {}
    for name, run in runs.items():
        with _about(name):
            values = evaluate(run, qrels, measures, evidence=evidence)
        per_query[name] = values[values.index.isin(queries["qid"])]
        without = queries["qid"][~queries["qid"].isin(run["qid"])]
        if len(without):
            message = "%s: no results for %d of %d queries (%s), which count 0"
            logger.warning(message, name, len(without), len(queries), examples(without))
        logger.info("%s: %s", name, per_query[name].mean().to_dict())
    return per_query


@contextlib.contextmanager
def _announced(
    systems: Mapping[str, pt.Transformer], queries: pd.DataFrame, kept: KeptRuns | None, announce: Announce | None
) -> Iterator[dict[str, str | None]]:
    """Of each system, under what its run is kept; those without one are announced."""
    keys: dict[str, str | None] = {}
    for name, system in systems.items():
        with _about(name):
            keys[name] = None if kept is None else run_key(system, queries)
    todo = {name: system for name, system in systems.items() if kept is None or not kept.holds(name, keys[name])}
    with contextlib.nullcontext() if announce is None else announce(todo, queries):
        yield keys


def _make_runs(
    systems: Mapping[str, pt.Transformer],
    queries: pd.DataFrame,
    kept: KeptRuns | None,
    keys: Mapping[str, str | None],
    verbose: bool,
) -> _Made:
    """The systems' runs, taken from those kept where the same pipeline made one of the same queries."""
    runs, ms_per_query, reused = {}, {}, []
    for name, system in tqdm(systems.items(), desc="evaluating", unit=" systems", disable=not verbose):
        with _about(name), collected() as notices:
            before = None if kept is None else kept.get(name, keys[name])
            if before:
                reused.append(name)
                logger.info("%s: the run kept from before is used", name)
            runs[name], ms_per_query[name] = before or _run(system, queries)
            if kept is not None and not before:
                kept.put(name, keys[name], runs[name], ms_per_query[name], notices)
    stemmed = {name: stemmed_languages(system) for name, system in systems.items()}
    return {"runs": runs, "ms_per_query": ms_per_query, "keys": keys, "reused": tuple(reused), "stemmed": stemmed}


def _run(system: pt.Transformer, queries: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """A system's run, and milliseconds a query."""
    system.transform(queries.head(1))
    start = time.perf_counter()
    results = system.transform(queries)
    ms_per_query = 1000 * (time.perf_counter() - start) / len(queries)
    return check_run(results), ms_per_query


@contextlib.contextmanager
def _about(system: str) -> Iterator[None]:
    """While entered, errors of evaluation name the system."""
    try:
        yield
    except EvaluationError as error:
        raise EvaluationError(f"system {system}: {error}") from error


def _evaluated(
    queries: pd.DataFrame, qrels: pd.DataFrame | None, evidence: Evidence, needed: set[str], judged_in_part: bool
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The queries that count, and their qrels."""
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
    queries = known_queries(queries, counting, what, in_part=judged_in_part)
    return queries, None if qrels is None else qrels[qrels["qid"].isin(queries["qid"])].reset_index(drop=True)
