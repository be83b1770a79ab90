"""All checks of the doctor, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import get_args

import pandas as pd

from ance_ir.eval.doctor import corpus, questions, systems
from ance_ir.eval.doctor.finding import Finding, Findings, Severity
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.measures import parse_measures
from ance_ir.eval.rankings import evaluated_qids, evaluated_qrels, evaluated_results


def diagnose(
    evaluation: Evaluation,
    queries: pd.DataFrame,
    *,
    relevant: int | None = None,
    training: Iterable[str] | None = None,
    answers: pd.DataFrame | None = None,
    documents: Callable[[], int] | None = None,
    unknown: Callable[[pd.Index], pd.Index] | None = None,
) -> Findings:
    """Check an evaluation for what makes its figures doubtful.

    Args:
        evaluation: the evaluation.
        queries: frame with ``qid`` and ``query``; those that were not evaluated are left out.
        relevant: the least relevant label, as the collection's authors define it; ``None`` where they do not.
        training: texts of the queries that systems were trained on.
        answers: frame with ``qid`` and ``answers`` (lists of str), where a measure compares with answers.
        documents: gives the number of documents of the corpus, called only for a shallow run, which need not be deeper than that.
        unknown: gives those of some docnos that are not in the corpus; ``None`` to leave this check out.

    Returns:
        Findings with their numbers, the most severe first.
    """
    measures = parse_measures(evaluation.measures)
    qids, qrels = evaluated_qids(evaluation), evaluated_qrels(evaluation)
    unknown_queries = systems.unknown_queries(evaluation.runs, queries)
    queries = queries[queries["qid"].isin(qids)].reset_index(drop=True)
    runs = {system: evaluated_results(evaluation, system) for system in evaluation.runs}
    found = [
        *systems.lost(runs, qids),
        *unknown_queries,
        *systems.other_docnos(runs, qrels),
        *(corpus.findings(evaluation, runs, qrels, unknown) if unknown else []),
        *systems.itself_first(runs, qrels, len(qids)),
        *systems.tied(runs),
        *systems.shallow(runs, measures, documents),
        *systems.unjudged(runs, qrels, len(qids)),
        *questions.labels(qrels, measures, relevant),
        *questions.without_relevant(qids, qrels),
        *questions.empty(queries),
        *questions.without_answers(queries, measures, answers),
        *questions.trained_on(queries, training),
        *questions.repeated(queries),
    ]
    return Findings(sorted(found, key=lambda finding: get_args(Severity).index(finding.severity)))


def findings_text(findings: Sequence[Finding]) -> str:
    """A line for each, for a terminal; empty without any."""
    return "\n".join(finding.to_text() for finding in findings)
