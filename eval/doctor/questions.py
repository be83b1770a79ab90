"""Checks of queries, judgements and answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from ance_ir.answers import answer_tokens
from ance_ir.eval.doctor.finding import Finding
from ance_ir.eval.measures import required_evidence
from ance_ir.eval.rankings import same_text
from ance_ir.notices import examples


def labels(qrels: pd.DataFrame, measures: Iterable[Any], relevant: int | None) -> list[Finding]:
    """Labels that do not fit the least label that measures count as relevant.

    Args:
        qrels: ``qid docno label``.
        measures: as ``parse_measures`` returns them.
        relevant: the least relevant label, as the collection's authors define it; ``None`` where they do not.
    """
    if qrels.empty:
        return []
    found = []
    binary = {str(measure): int(measure.params.get("rel", 1)) for measure in measures if "rel" in measure.SUPPORTED_PARAMS}
    highest = int(qrels["label"].max())
    empty = [name for name, threshold in binary.items() if highest < threshold]
    if empty:
        found.append(
            Finding(
                severity="problem",
                what=f"{_listed(empty)} can only be 0: the highest label is {highest}",
                figures={"highest label": highest},
                advice="judgements with other grades, or a lower rel=, are needed",
            )
        )
    elif relevant is not None and highest < relevant:
        found.append(
            Finding(
                severity="warning",
                what=f"this collection counts labels from {relevant} on as relevant, and the highest of these judgements is {highest}",
                figures={"highest label": highest, "relevant from": relevant},
                advice="check that the judgements are the collection's own",
            )
        )
    stricter = relevant or 2
    low = [name for name, threshold in binary.items() if threshold < stricter <= highest]
    if low:
        share = float((qrels["label"] >= stricter).sum() / (qrels["label"] > 0).sum())
        about = f"is graded, up to {highest}" if relevant is None else f"counts labels from {relevant} on as relevant"
        found.append(
            Finding(
                severity="note" if relevant is None else "warning",
                what=f"this collection {about}, and lower ones count too in {_listed(low)} ({share:.0%} are {stricter} or more)",
                figures={"highest label": highest, "share": share},
                advice=f"the stricter reading is rel={stricter}, as in AP(rel={stricter})",
            )
        )
    return found


def without_relevant(qids: pd.Index, qrels: pd.DataFrame) -> list[Finding]:
    """Judged queries without a relevant document."""
    if qrels.empty:
        return []
    lacking = qids[~qids.isin(qrels["qid"][qrels["label"] > 0]) & qids.isin(qrels["qid"])]
    if lacking.empty:
        return []
    return [
        Finding(
            severity="warning" if len(lacking) < len(qids) else "problem",
            what=f"{len(lacking):,} of {len(qids):,} queries have no relevant document ({examples(lacking)}): no label of theirs "
            "is above 0, so that they count 0 for every system",
            figures={"without a relevant document": len(lacking), "queries": len(qids)},
            advice="check whether judgements are missing; leave these queries out of both files where there is none to find",
        )
    ]


def empty(queries: pd.DataFrame) -> list[Finding]:
    """Queries without a letter or a digit."""
    blank = queries[queries["query"].map(same_text) == ""]
    if blank.empty:
        return []
    return [
        Finding(
            severity="warning" if len(blank) < len(queries) else "problem",
            what=f"{len(blank):,} of {len(queries):,} queries are empty, or hold no letter or digit ({examples(blank['qid'])})",
            figures={"empty": len(blank), "queries": len(queries)},
            advice="what systems find for them means nothing; check that the file of queries is whole",
        )
    ]


def repeated(queries: pd.DataFrame) -> list[Finding]:
    """Queries with the text of another query."""
    texts = queries["query"].map(same_text)
    again = texts.duplicated(keep=False) & (texts != "")
    if not again.any():
        return []
    first = queries["qid"][texts == texts[again].iloc[0]].tolist()
    extra = int(texts[again].duplicated().sum())
    return [
        Finding(
            severity="note",
            what=f"{extra:,} of {len(queries):,} queries repeat the text of another, as {_listed(first[:3])}",
            figures={"repeated": extra, "queries": len(queries)},
            advice="each counts as a query of its own in means and tests",
        )
    ]


def trained_on(queries: pd.DataFrame, training: Iterable[str] | None) -> list[Finding]:
    """Queries that are also training queries."""
    if training is None:
        return []
    texts = queries["query"].map(same_text)
    seen = queries[texts.isin({same_text(text) for text in training}) & (texts != "")]
    if seen.empty:
        return []
    share = len(seen) / len(queries)
    return [
        Finding(
            severity="warning",
            what=f"{len(seen):,} of {len(queries):,} queries ({share:.1%}) are among the training queries, as {seen['query'].iloc[0]!r}",
            figures={"in training": len(seen), "queries": len(queries), "share": share},
            advice="what was trained on them has seen their answers; leave them out on one side",
        )
    ]


def without_answers(queries: pd.DataFrame, measures: Iterable[Any], answers: pd.DataFrame | None) -> list[Finding]:
    """Questions without an answer, where a measure compares with answers."""
    asking = [str(measure) for measure in measures if "answers" in required_evidence([measure])]
    if answers is None or not asking:
        return []
    usable = answers["answers"].map(lambda given: any(answer_tokens(answer) for answer in given))
    lacking = queries[~queries["qid"].isin(answers["qid"][usable])]
    if lacking.empty:
        return []
    share = len(lacking) / len(queries)
    counted = int(lacking["qid"].isin(answers["qid"]).sum())
    counts = [f"{count:,} {how}" for count, how in ((len(lacking) - counted, "left out"), (counted, "counted as 0")) if count]
    return [
        Finding(
            severity="warning" if share < 1 else "problem",
            what=f"{len(lacking):,} of {len(queries):,} questions ({share:.1%}) have no answer, as {lacking['qid'].iloc[0]} "
            f"(in {_listed(asking)}: {_listed(counts)})",
            figures={"without answers": len(lacking), "queries": len(queries), "share": share},
            advice="check that the file of answers is whole and has the same qids",
        )
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
