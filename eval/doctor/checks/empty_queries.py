"""Queries without a letter or a digit."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.rankings import same_text
from ance_ir.notices import examples


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    blank = case.queries[case.queries["query"].map(same_text) == ""]
    if blank.empty:
        return
    yield Finding(
        severity="warning" if len(blank) < len(case.queries) else "problem",
        what=f"{len(blank):,} of {len(case.queries):,} queries are empty, or hold no letter or digit ({examples(blank['qid'])})",
        figures={"empty": len(blank), "queries": len(case.queries)},
        advice="what systems find for them means nothing; check that the file of queries is whole",
    )
