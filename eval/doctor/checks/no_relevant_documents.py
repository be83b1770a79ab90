"""Judged queries without a relevant document."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.notices import examples


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    if case.qrels.empty:
        return
    lacking = case.qids[~case.qids.isin(case.qrels["qid"][case.qrels["label"] > 0]) & case.qids.isin(case.qrels["qid"])]
    if lacking.empty:
        return
    yield Finding(
        severity="warning" if len(lacking) < len(case.qids) else "problem",
        what=f"{len(lacking):,} of {len(case.qids):,} queries have no relevant document ({examples(lacking)}): no label of theirs "
        "is above 0, so that they count 0 for every system",
        figures={"without a relevant document": len(lacking), "queries": len(case.qids)},
        advice="check whether judgements are missing; leave these queries out of both files where there is none to find",
    )
