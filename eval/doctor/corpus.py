"""Checks of judged and retrieved documents against the corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.evaluation import Evaluation
from ance_ir.notices import examples

TOP = 10


def findings(
    evaluation: Evaluation, runs: Mapping[str, pd.DataFrame], qrels: pd.DataFrame, unknown: Callable[[pd.Index], pd.Index]
) -> list[Finding]:
    """Relevant documents, and first results of runs made elsewhere, that are not in the corpus.

    Args:
        evaluation: the evaluation.
        runs: by system, ``qid docno score rank``.
        qrels: ``qid docno label``.
        unknown: see ``diagnose``.
    """
    found = _missing(None, "relevant documents", pd.Index(qrels["docno"][qrels["label"] > 0].unique()), unknown)
    for system, run in runs.items():
        if system not in evaluation.ms_per_query:  # a system that searched the corpus can find nothing else
            found += _missing(system, f"documents in its top {TOP}", pd.Index(run["docno"][run["rank"] < TOP].unique()), unknown)
    return found


def _missing(system: str | None, what: str, docnos: pd.Index, unknown: Callable[[pd.Index], pd.Index]) -> list[Finding]:
    missing = unknown(docnos)
    if missing.empty:
        return []
    return [
        Finding(
            severity="warning" if len(missing) < len(docnos) else "problem",
            system=system,
            what=f"{len(missing):,} of {len(docnos):,} {what} are not in the corpus ({examples(missing)})",
            figures={"not in the corpus": len(missing), "documents": len(docnos)},
            advice="no system can find them here" if system is None else "check that the run is of this corpus",
        )
    ]
