from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ance_ir.ranking import rank_results


def frame(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["qid", "docno", "score"])


def test_equal_scores_are_ordered_by_docno_last_first() -> None:
    ranked = rank_results(frame(("q", "d10", 1.0), ("q", "d9", 1.0), ("q", "é", 1.0), ("q", "Z", 1.0), ("q", "best", 2.0)))
    assert ranked["docno"].tolist() == ["best", "é", "d9", "d10", "Z"]
    assert ranked["rank"].tolist() == [0, 1, 2, 3, 4]


def test_queries_keep_their_order_and_are_ranked_apart() -> None:
    ranked = rank_results(frame(("q2", "a", 1.0), ("q1", "b", 5.0), ("q2", "c", 3.0), ("q1", "d", 7.0)))
    assert ranked["qid"].tolist() == ["q2", "q2", "q1", "q1"]
    assert ranked["docno"].tolist() == ["c", "a", "d", "b"]
    assert ranked["rank"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("k", "expected"), [(None, ["c", "b", "a", "x"]), (2, ["c", "b", "x"]), (1, ["c", "x"]), (9, ["c", "b", "a", "x"])]
)
def test_k_results_a_query_are_kept(k: int | None, expected: list[str]) -> None:
    ranked = rank_results(frame(("p", "a", 1.0), ("p", "b", 2.0), ("p", "c", 3.0), ("q", "x", 0.0)), k)
    assert ranked["docno"].tolist() == expected
    assert ranked.index.tolist() == list(range(len(expected)))


def test_the_input_is_untouched_and_its_columns_stay() -> None:
    results = frame(("q", "a", 1.0), ("q", "b", 2.0)).assign(rank=[7, 8], text=["x", "y"])
    results.index = pd.Index([5, 5])
    before = results.copy(deep=True)
    ranked = rank_results(results)
    pd.testing.assert_frame_equal(results, before)
    assert ranked["text"].tolist() == ["y", "x"]
    assert list(ranked.columns) == list(results.columns)


def test_an_empty_frame_stays_empty_and_gets_ranks() -> None:
    ranked = rank_results(frame())
    assert list(ranked.columns) == ["qid", "docno", "score", "rank"]
    assert ranked["rank"].dtype == np.int64
    assert len(ranked) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "2"]), st.text("09aZ~é日\U0001f600", min_size=1, max_size=3), st.sampled_from([-1.5, 0.0, 0.25, 700.0])
        ),
        min_size=1,
        max_size=40,
        unique_by=lambda row: row[:2],
    )
)
def test_the_order_is_trec_evals(rows: list[tuple[str, str, float]]) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    ranked = rank_results(frame(*rows))
    for qid, results in ranked.groupby("qid"):
        run = {str(qid): dict(zip(results["docno"], results["score"], strict=True))}
        for place, docno in enumerate(results["docno"]):
            evaluator = pytrec_eval.RelevanceEvaluator({str(qid): {docno: 1}}, {"recip_rank"})
            assert evaluator.evaluate(run)[str(qid)]["recip_rank"] == pytest.approx(1 / (place + 1))
