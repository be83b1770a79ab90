"""Questions without an answer, where a measure compares with answers."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.answers import answer_tokens
from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.measures import required_evidence


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    asking = [str(measure) for measure in case.measures if "answers" in required_evidence([measure])]
    if case.answers is None or not asking:
        return
    usable = case.answers["answers"].map(lambda given: any(answer_tokens(answer) for answer in given))
    lacking = case.queries[~case.queries["qid"].isin(case.answers["qid"][usable])]
    if lacking.empty:
        return
    share = len(lacking) / len(case.queries)
    counted = int(lacking["qid"].isin(case.answers["qid"]).sum())
    counts = [f"{count:,} {how}" for count, how in ((len(lacking) - counted, "left out"), (counted, "counted as 0")) if count]
    yield Finding(
        severity="warning" if share < 1 else "problem",
        what=f"{len(lacking):,} of {len(case.queries):,} questions ({share:.1%}) have no answer, as {lacking['qid'].iloc[0]} "
        f"(in {', '.join(asking)}: {', '.join(counts)})",
        figures={"without answers": len(lacking), "queries": len(case.queries), "share": share},
        advice="check that the file of answers is whole and has the same qids",
    )
