"""Labels that do not fit the least label that measures count as relevant."""

from __future__ import annotations

from collections.abc import Iterator

from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """See the module."""
    if case.qrels.empty:
        return
    binary = {str(measure): int(measure.params.get("rel", 1)) for measure in case.measures if "rel" in measure.SUPPORTED_PARAMS}
    highest = int(case.qrels["label"].max())
    empty = [name for name, threshold in binary.items() if highest < threshold]
    if empty:
        yield Finding(
            severity="problem",
            what=f"{', '.join(empty)} can only be 0: the highest label is {highest}",
            figures={"highest label": highest},
            advice="judgements with other grades, or a lower rel=, are needed",
        )
    elif case.relevant is not None and highest < case.relevant:
        yield Finding(
            severity="warning",
            what=f"this collection counts labels from {case.relevant} on as relevant, and the highest of these judgements is {highest}",
            figures={"highest label": highest, "relevant from": case.relevant},
            advice="check that the judgements are the collection's own",
        )
    stricter = case.relevant or 2
    low = [name for name, threshold in binary.items() if threshold < stricter <= highest]
    if low:
        share = float((case.qrels["label"] >= stricter).sum() / (case.qrels["label"] > 0).sum())
        about = f"is graded, up to {highest}" if case.relevant is None else f"counts labels from {case.relevant} on as relevant"
        yield Finding(
            severity="note" if case.relevant is None else "warning",
            what=f"this collection {about}, and lower ones count too in {', '.join(low)} ({share:.0%} are {stricter} or more)",
            figures={"highest label": highest, "share": share},
            advice=f"the stricter reading is rel={stricter}, as in AP(rel={stricter})",
        )
