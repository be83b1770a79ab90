"""Relevant documents, and first results of runs made elsewhere, that are not in the corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.notices import examples

TOP = 10


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    if case.unknown is None:
        return
    yield from _missing(None, "relevant documents", pd.Index(case.qrels["docno"][case.qrels["label"] > 0].unique()), case.unknown)
    for system, run in case.runs.items():
        if system not in case.evaluation.ms_per_query:  # a system that searched the corpus can find nothing else
            top = pd.Index(run["docno"][run["rank"] < TOP].unique())
            yield from _missing(system, f"documents in its top {TOP}", top, case.unknown)


def _missing(system: str | None, what: str, docnos: pd.Index, unknown: Callable[[pd.Index], pd.Index]) -> Iterator[Finding]:
    missing = unknown(docnos)
    if missing.empty:
        return
    yield Finding(
        severity="warning" if len(missing) < len(docnos) else "problem",
        system=system,
        what=f"{len(missing):,} of {len(docnos):,} {what} are not in the corpus ({examples(missing)})",
        figures={"not in the corpus": len(missing), "documents": len(docnos)},
        advice="no system can find them here" if system is None else "check that the run is of this corpus",
    )
