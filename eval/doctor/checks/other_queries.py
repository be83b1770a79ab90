"""Runs with results for queries that the dataset does not have: made for other ones, or with qids written differently."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    for system, run in case.evaluation.runs.items():
        qids = pd.Index(run["qid"].unique())
        unknown = qids[~qids.isin(case.all_queries["qid"])]
        if len(unknown):
            yield Finding(
                severity="note",
                system=system,
                what=f"{len(unknown):,} of its {len(qids):,} queries, as {unknown[0]!r}, are not among the queries, and are left out",
                figures={"unknown": len(unknown), "queries": len(qids)},
                advice="check that qids are written alike, and that the run was made for this split",
            )
