"""Settings of transformers that cannot be meant, wherever they are set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import UsageError
from ance_ir.indexes import MaxP
from ance_ir.pipelines import AnswerReader, BertReranker, ReciprocalRankFusion, WeightedSum
from ance_ir.ranking import rank_results
from tests.tiny import cross_encoder, reader

FOUND = pd.DataFrame({"qid": ["1", "1"], "query": "cat", "docno": ["a", "b"], "score": [2.0, 1.0], "text": "cat"})


def test_a_name_that_is_no_setting_is_refused() -> None:
    stage = ReciprocalRankFusion(pt.Transformer.from_df(FOUND))
    with pytest.raises(UsageError, match=r"'num_result'.*num_results"):
        stage.num_result = 5  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="'kk'"):
        (stage % 2).kk = 5  # type: ignore[attr-defined]

    class Mine(ReciprocalRankFusion):
        pass

    mine = Mine(pt.Transformer.from_df(FOUND))
    mine.note = "one of others may have attributes of its own"  # type: ignore[attr-defined]


@pytest.mark.parametrize("weights", [{1: 0.5, 2: 0.5}, {1.0, 2.0}, "12", [1.0, float("nan")], [[1.0], [2.0]]], ids=repr)
def test_weights_are_numbers_in_order(weights: Any) -> None:
    systems = [pt.Transformer.from_df(FOUND)] * 2
    with pytest.raises(UsageError, match="weights"):
        WeightedSum(*systems, weights=weights)
    fusion = WeightedSum(*systems, weights=np.array([1, 3]))
    with pytest.raises(UsageError, match="weights"):
        fusion.weights = weights
    assert fusion.weights == (1.0, 3.0)


def test_what_a_reranker_and_a_reader_are_made_of() -> None:
    stage = BertReranker(cross_encoder())
    for name, value in {"passages": "maxp:8,3", "dataset": "msmarco", "model": reader()}.items():
        with pytest.raises(UsageError, match=name) as raised:
            setattr(stage, name, value)
        assert len(str(raised.value)) < 200
    with pytest.raises(UsageError, match="passages"):
        BertReranker(cross_encoder(), MaxP)  # type: ignore[arg-type]
    stage.passages = MaxP(8, 3)
    for value in ("name", None):
        with pytest.raises(UsageError, match="reader"):
            AnswerReader(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("column", ["qid", "docno"])
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_rows_without_an_id_are_refused(column: str, missing: float | None) -> None:
    frame = FOUND.copy()
    frame[column] = pd.Series([frame[column][0], missing], dtype=object)
    for stage in (BertReranker(cross_encoder()), WeightedSum(pt.Transformer.from_df(frame))):
        with pytest.raises(UsageError, match=f"rows have no {column}"):
            stage.transform(frame)
    with pytest.raises(UsageError, match=f"no {column}"):
        rank_results(frame)
