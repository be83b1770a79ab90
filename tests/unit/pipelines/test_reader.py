"""Readers in pipelines: an answer for each passage, one for each question."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ance_ir.errors import UsageError
from ance_ir.models.reader.text import Layout
from ance_ir.pipelines import AnswerReader, BestAnswer
from tests.tiny import WORDS, reader

FRAME = pd.DataFrame(
    {
        "qid": ["2", "1", "2", "2", "1"],
        "query": ["who is king", "what sleeps", "who is king", "who is king", "what sleeps"],
        "docno": ["d1", "d2", "d3", "d4", "d5"],
        "title": ["", "red", None, float("nan"), "x"],
        "text": [" ".join(WORDS[:9]), "moon", "", "", " ".join(WORDS[9:20])],
        "score": [5.0, 4.0, 3.0, 2.0, 1.0],
    }
)


def test_answers_are_those_of_the_reader() -> None:
    model = reader()
    found = AnswerReader(model)(FRAME)
    expected = model.read(FRAME["query"].to_list(), FRAME["text"].to_list(), ["", "red", "", "", "x"])
    assert found["answer"].tolist() == expected.answers
    assert found["answer_score"].tolist() == pytest.approx(expected.scores.tolist())
    assert found["relevance"].tolist() == pytest.approx(expected.relevance.tolist())
    assert found[list(FRAME.columns)].equals(FRAME)
    assert found["answer"].tolist()[2:4] == ["", ""]
    untitled = AnswerReader(model)(FRAME.drop(columns="title"))
    assert untitled["relevance"][0] == pytest.approx(found["relevance"][0])
    assert untitled["relevance"][1] != pytest.approx(found["relevance"][1])


def test_the_best_answer_is_that_of_the_most_relevant_passage() -> None:
    answered = FRAME.assign(
        answer=["a", "b", "c", "d", "e"], answer_score=[9.0, 2.0, 1.0, 1.5, 7.0], relevance=[1.0, 3.0, 2.0, 2.0, -np.inf]
    )
    found = BestAnswer()(answered)
    assert found.to_dict("list") == {
        "qid": ["2", "1"],
        "query": ["who is king", "what sleeps"],
        "qanswer": ["d", "b"],
        "answer_score": [1.5, 2.0],
        "docno": ["d4", "d2"],
    }
    by_score = BestAnswer("score")(answered)
    assert by_score["qanswer"].tolist() == ["a", "e"]
    again = BestAnswer()(answered.assign(qanswer="old"))
    assert again.equals(found)
    with pytest.raises(UsageError, match="by must be"):
        BestAnswer("rank")  # type: ignore[arg-type]


def test_a_pipeline_that_is_pickled_answers_the_same(tmp_path: Path) -> None:
    reader("qa").save(tmp_path / "x")
    pipeline = AnswerReader.from_pretrained(tmp_path / "x", device="cpu", overlap=None) >> BestAnswer()
    found = pipeline(FRAME)
    assert found["qid"].tolist() == ["2", "1"]
    assert pickle.loads(pickle.dumps(pipeline))(FRAME).equals(found)  # noqa: S301


@pytest.mark.parametrize("layout", ["dpr", "qa"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused_with_query_and_document(layout: Layout, value: float) -> None:
    model = reader(layout)
    with torch.no_grad():
        list(model.model.parameters())[-1].fill_(value)
    found = model.read(FRAME["query"].to_list(), FRAME["text"].to_list())
    assert np.isnan(found.scores).tolist() == np.isnan(found.relevance).tolist() == [True, True, False, False, True]
    assert np.isneginf(found.scores).tolist() == [False, False, True, True, False]
    with pytest.raises(UsageError, match=r"'2'.*'d1'"):
        AnswerReader(model)(FRAME)


@pytest.mark.parametrize("missing", [None, float("nan"), 7])
def test_a_query_that_is_no_string_is_refused(missing: object) -> None:
    with pytest.raises(UsageError, match="query 2 must be a string, found"):
        AnswerReader(reader())(FRAME.assign(query=pd.Series([missing] * 5, dtype=object)))
