"""Systems whose top 10 has few judgements; a single note where judgements are too sparse for more."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.rankings import with_labels

TOP = 10
JUDGED = 0.5
"""A smaller share of the top 10 with a judgement is low."""
SPARSE = 10
"""With fewer judgements a query, on average, most of any top 10 is unjudged."""


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    if case.qrels.empty:
        return
    shares = {}
    for system, run in case.runs.items():
        top = with_labels(run[run["rank"] < TOP], case.qrels)
        if len(top):
            shares[system] = float(top["label"].notna().mean())
    low = {system: share for system, share in shares.items() if share < JUDGED}
    depth = len(case.qrels) / len(case.qids)
    sparse = f"judgements are sparse ({depth:.1f} a query)" if depth < SPARSE else None
    only = "the judgements name relevant documents alone" if (case.qrels["label"] > 0).all() else None
    if low and (sparse or only):
        shares_text = ", ".join(f"{system} {share:.1%}" for system, share in low.items())
        yield Finding(
            severity="note",
            what=f"{sparse or only}: most of the top {TOP} is unjudged (judged@{TOP}: {shares_text})",
            figures={"judgements a query": depth, **low},
            advice="relevant documents without a judgement count as not relevant, for every system",
        )
        return
    for system, share in low.items():
        yield Finding(
            severity="warning",
            system=system,
            what=f"judged@{TOP} is {share:.1%}, less than {JUDGED:.0%}: most of what it ranks first was never judged",
            figures={f"judged@{TOP}": share},
            advice="its true effectiveness may be higher; look at Judged@k in addition to the measures",
        )
