"""Single queries on which one system beats another, with their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from ance_ir.errors import EvaluationError
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.measures import parse_measures
from ance_ir.eval.significance import rounded

_WIDTH = 160


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """A system's ranking for a query.

    Attributes:
        system: its name.
        value: of the example's measure.
        first_relevant: rank of the first relevant document, from 0; ``None`` where none was found.
        top: docno of the first document, relevant or not; ``None`` where nothing was found.
    """

    system: str
    value: float
    first_relevant: int | None
    top: str | None


@dataclass(frozen=True, kw_only=True)
class Example:
    """A query on which a system beats a baseline.

    Attributes:
        qid: of the query.
        query: its text.
        measure: in which.
        relevant: docno of a relevant document: the winner's first, else the one with the highest label.
        winner: the system's ranking.
        loser: the baseline's ranking.
    """

    qid: str
    query: str
    measure: str
    relevant: str
    winner: Ranking
    loser: Ranking


def queries_won(evaluation: Evaluation, queries: pd.DataFrame, system: str, baseline: str, measure: str, n: int = 3) -> list[Example]:
    """The ``n`` queries on which a system beats another by most, or fewer where it wins on fewer; ties by qid.

    Args:
        evaluation: of both.
        queries: frame with ``qid`` and ``query``.
        system: the one that wins.
        baseline: the one that loses; any system of the evaluation.
        measure: one of the evaluation's.
        n: how many.

    Raises:
        EvaluationError: the evaluation holds no such system or measure.
    """
    for name in (system, baseline):
        if name not in evaluation.runs:
            raise EvaluationError(f"{name!r} is none of the systems evaluated: {', '.join(evaluation.runs)}")
    measure = str(parse_measures([measure])[0])
    if measure not in evaluation.measures:
        raise EvaluationError(f"{measure} was not evaluated; {', '.join(evaluation.measures)} were")
    better, worse = (evaluation.per_query[name][measure] for name in (system, baseline))
    margins = rounded(better - worse, float(max(better.abs().max(), worse.abs().max()))).rename("margin").reset_index()
    margins = margins[margins["margin"] > 0].sort_values(["margin", "qid"], ascending=[False, True])
    texts = queries.set_index("qid")["query"]
    examples = []
    for qid in margins["qid"].head(n):
        relevant = _relevant(evaluation.qrels, qid)
        winner = _ranking(evaluation, system, qid, measure, relevant)
        loser = _ranking(evaluation, baseline, qid, measure, relevant)
        found = _results(evaluation, system, qid)
        shown = relevant[0] if winner.first_relevant is None else found["docno"].iloc[winner.first_relevant]
        examples.append(Example(qid=qid, query=str(texts[qid]), measure=measure, relevant=str(shown), winner=winner, loser=loser))
    return examples


def format_example(example: Example, text_of: Callable[[Sequence[str]], Sequence[str]]) -> str:
    """An example for a terminal, one line for the query and for each document.

    Args:
        example: from ``queries_won``.
        text_of: the texts of docnos, in their order.
    """
    docnos = [docno for docno in (example.relevant, example.winner.top, example.loser.top) if docno is not None]
    texts = dict(zip(docnos, text_of(docnos), strict=True))
    lines = [f"query {example.qid}: {_cut(example.query)}", f"  relevant {example.relevant}: {_cut(texts[example.relevant])}"]
    for ranking in (example.winner, example.loser):
        first = "no relevant document" if ranking.first_relevant is None else f"first relevant at rank {ranking.first_relevant + 1}"
        lines.append(f"  {ranking.system}: {example.measure} {ranking.value:.3f}, {first}")
        if ranking.top is None:
            lines.append("    found nothing")
        elif ranking.top == example.relevant:
            lines.append(f"    rank 1 is {ranking.top}, the relevant document above")
        else:
            lines.append(f"    rank 1 is {ranking.top}: {_cut(texts[ranking.top])}")
    return "\n".join(lines)


def _relevant(qrels: pd.DataFrame, qid: str) -> list[str]:
    """Docnos of relevant documents, highest label first."""
    judged = qrels[(qrels["qid"] == qid) & (qrels["label"] > 0)]
    return judged.sort_values(["label", "docno"], ascending=[False, True])["docno"].tolist()


def _results(evaluation: Evaluation, system: str, qid: str) -> pd.DataFrame:
    run = evaluation.runs[system]
    return run[run["qid"] == qid]


def _ranking(evaluation: Evaluation, system: str, qid: str, measure: str, relevant: list[str]) -> Ranking:
    found = _results(evaluation, system, qid)
    places = found["rank"][found["docno"].isin(relevant)]
    return Ranking(
        system=system,
        value=float(evaluation.per_query[system][measure][qid]),
        first_relevant=int(places.iloc[0]) if len(places) else None,
        top=str(found["docno"].iloc[0]) if len(found) else None,
    )


def _cut(text: str) -> str:
    """A text on one line, of at most 160 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1].rstrip() + "…"
