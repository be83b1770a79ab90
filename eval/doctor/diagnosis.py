"""The diagnosis: the findings of all checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import get_args

import pandas as pd

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.checks import CHECKS
from ance_ir.eval.doctor.finding import Finding, Findings, Severity
from ance_ir.eval.evaluation import Evaluation


def diagnose(
    evaluation: Evaluation,
    queries: pd.DataFrame,
    *,
    relevant: int | None = None,
    training: Iterable[str] | None = None,
    answers: pd.DataFrame | None = None,
    documents: Callable[[], int] | None = None,
    unknown: Callable[[pd.Index], pd.Index] | None = None,
    language: Callable[[], str | None] | None = None,
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
        language: gives the language of the documents where it is known not to be English, called only where a system stems English;
            ``None`` to leave this check out.

    Returns:
        Findings with their numbers, the most severe first, those about systems before the others.
    """
    case = Case(
        evaluation=evaluation,
        all_queries=queries,
        relevant=relevant,
        training=training,
        answers=answers,
        documents=documents,
        unknown=unknown,
        language=language,
    )
    found = [finding for check in CHECKS.values() for finding in check(case)]
    return Findings(sorted(found, key=lambda finding: (get_args(Severity).index(finding.severity), finding.system is None)))


def findings_text(findings: Sequence[Finding]) -> str:
    """A line for each, for a terminal; empty without any."""
    return "\n".join(finding.to_text() for finding in findings)
