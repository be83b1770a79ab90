"""Systems without results for some queries."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    for system, run in case.runs.items():
        missing = case.qids[~case.qids.isin(run["qid"].unique())]
        if len(missing):
            named = ", ".join(map(str, missing[:3])) + (", …" if len(missing) > 3 else "")
            yield Finding(
                severity="problem" if len(missing) == len(case.qids) else "warning",
                system=system,
                what=f"no results for {len(missing):,} of {len(case.qids):,} queries ({named}), which count 0",
                figures={"without results": len(missing), "queries": len(case.qids)},
                advice="check that it ran for them and, with BM25, that documents contain their words",
            )
