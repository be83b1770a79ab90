"""Queries with the text of another query."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.rankings import same_text


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    texts = case.queries["query"].map(same_text)
    again = texts.duplicated(keep=False) & (texts != "")
    if not again.any():
        return
    first = case.queries["qid"][texts == texts[again].iloc[0]].tolist()
    extra = int(texts[again].duplicated().sum())
    yield Finding(
        severity="note",
        what=f"{extra:,} of {len(case.queries):,} queries repeat the text of another, as {', '.join(first[:3])}",
        figures={"repeated": extra, "queries": len(case.queries)},
        advice="means and tests count each of them as a separate query",
    )
