"""Queries that are also training queries."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.rankings import same_text


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    if case.training is None:
        return
    texts = case.queries["query"].map(same_text)
    seen = case.queries[texts.isin({same_text(text) for text in case.training}) & (texts != "")]
    if seen.empty:
        return
    share = len(seen) / len(case.queries)
    yield Finding(
        severity="warning",
        what=f"{len(seen):,} of {len(case.queries):,} queries ({share:.1%}) are among the training queries, as {seen['query'].iloc[0]!r}",
        figures={"in training": len(seen), "queries": len(case.queries), "share": share},
        advice="models trained on them have seen their positives; exclude them from training or from evaluation",
    )
