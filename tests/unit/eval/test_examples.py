from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from ance_ir.errors import EvaluationError
from ance_ir.eval import Evaluation, evaluate, format_example, queries_won
from ance_ir.eval.significance import intervals

QUERIES = pd.DataFrame({"qid": ["q1", "q2", "q3", "q4"], "query": ["one", "two\n lines", "three", "four"]})
QRELS = pd.DataFrame(
    [("q1", "a", 1), ("q2", "a", 1), ("q2", "b", 3), ("q3", "c", 2), ("q3", "d", 0), ("q4", "a", 1)],
    columns=["qid", "docno", "label"],
)


def run(**results: str) -> pd.DataFrame:
    rows = [(qid, docno, -float(rank), rank) for qid, docnos in results.items() for rank, docno in enumerate(docnos)]
    return pd.DataFrame(rows, columns=["qid", "docno", "score", "rank"])


@pytest.fixture
def evaluation() -> Evaluation:
    runs = {
        "ance": run(q1="xa", q2="ab", q3="cd", q4="xa"),
        "bm25": run(q1="x", q2="yxb", q3="dxc", q4="a"),
    }
    per_query = {name: evaluate(frame, QRELS, ["RR@10", "R@3"]) for name, frame in runs.items()}
    return Evaluation(
        qrels=QRELS,
        runs=runs,
        per_query=per_query,
        ms_per_query={"ance": 1.0, "bm25": 1.0},
        baseline=None,
        comparison=None,
        intervals=intervals(per_query),
    )


def test_the_widest_margins_come_first_and_ties_by_qid(evaluation: Evaluation) -> None:
    found = queries_won(evaluation, QUERIES, "ance", "bm25", "RR@10", 3)
    assert [example.qid for example in found] == ["q2", "q3", "q1"]
    assert [example.qid for example in queries_won(evaluation, QUERIES, "ance", "bm25", "MRR@10", 2)] == ["q2", "q3"]
    assert [example.qid for example in queries_won(evaluation, QUERIES, "bm25", "ance", "RR@10")] == ["q4"]
    assert queries_won(evaluation, QUERIES, "bm25", "bm25", "RR@10") == []


def test_an_example_says_where_each_system_ranks_what(evaluation: Evaluation) -> None:
    two, three, one = queries_won(evaluation, QUERIES, "ance", "bm25", "RR@10")
    # the winner found the less relevant document first
    assert (two.relevant, two.winner.first_relevant, two.winner.top) == ("a", 0, "a")
    assert (two.loser.first_relevant, two.loser.top, two.loser.value) == (2, "y", pytest.approx(1 / 3))
    # judged 0 is not relevant
    assert (three.loser.first_relevant, three.loser.top) == (2, "d")
    assert (one.winner.first_relevant, one.winner.top, one.loser.first_relevant, one.loser.top) == (1, "x", None, "x")


def test_a_query_that_a_system_lacks(evaluation: Evaluation) -> None:
    evaluation = replace(evaluation, runs={**evaluation.runs, "bm25": evaluation.runs["bm25"].query("qid != 'q1'")})
    (one,) = (example for example in queries_won(evaluation, QUERIES, "ance", "bm25", "RR@10") if example.qid == "q1")
    assert (one.loser.first_relevant, one.loser.top) == (None, None)
    assert "found nothing" in format_example(one, lambda docnos: list(docnos))


def test_an_example_as_text(evaluation: Evaluation) -> None:
    asked: list[Sequence[str]] = []

    def text_of(docnos: Sequence[str]) -> list[str]:
        asked.append(docnos)
        return [f"text\n\tof {docno} " + "word " * (100 if docno == "y" else 0) for docno in docnos]

    two, _, one = queries_won(evaluation, QUERIES, "ance", "bm25", "RR@10")
    lines = format_example(two, text_of).splitlines()
    assert asked == [["a", "a", "y"]]
    assert lines[:5] == [
        "query q2: two lines",
        "  relevant a: text of a",
        "  ance: RR@10 1.000, first relevant at rank 1",
        "    rank 1 is a, the relevant document above",
        "  bm25: RR@10 0.333, first relevant at rank 3",
    ]
    prefix = "    rank 1 is y: "
    assert lines[5].startswith(prefix + "text of y word word")
    assert lines[5].endswith("…")
    assert 150 < len(lines[5]) - len(prefix) <= 160
    assert "bm25: RR@10 0.000, no relevant document" in format_example(one, text_of)


def test_what_was_not_evaluated_is_refused(evaluation: Evaluation) -> None:
    with pytest.raises(EvaluationError, match=r"'bert'.*ance, bm25"):
        queries_won(evaluation, QUERIES, "bert", "bm25", "RR@10")
    with pytest.raises(EvaluationError, match=r"AP was not evaluated; RR@10, R@3 were"):
        queries_won(evaluation, QUERIES, "ance", "bm25", "AP")
