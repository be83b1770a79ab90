"""Weights of fusions: the best of all that are tried, each system asked once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval import evaluate, tune_weights
from ance_ir.eval.tuning.weights import GRID
from ance_ir.pipelines import WeightedSum

QUERIES = pd.DataFrame({"qid": [f"q{number}" for number in range(30)], "query": "what"})
DOCNOS = [f"d{number}" for number in range(40)]
QRELS = pd.DataFrame(
    [(qid, docno, int(docno[1:]) % 7 == 0) for qid in QUERIES["qid"] for docno in DOCNOS], columns=["qid", "docno", "label"]
)
QRELS["label"] = QRELS["label"].astype(int)


def noisy(seed: int, signal: float, scale: float, asked: list[int] | None = None) -> pt.Transformer:
    """A system that scores relevant documents by ``signal`` above others, in some unit."""

    def retrieve(queries: pd.DataFrame) -> pd.DataFrame:
        if asked is not None:
            asked.append(len(queries))
        generator = np.random.default_rng(seed)
        rows = QRELS[["qid", "docno"]].assign(score=(generator.normal(size=len(QRELS)) + signal * QRELS["label"]) * scale)
        return queries.merge(rows, on="qid")

    return pt.apply.generic(retrieve)


def value(fusion: pt.Transformer, measure: str) -> float:
    return float(evaluate(fusion(QUERIES), QRELS, [measure])[measure].mean())


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_two_systems_are_better_than_each(scale: float) -> None:
    first, second = noisy(1, 1.0, 1.0), noisy(2, 1.0, scale)
    tuned = tune_weights(WeightedSum(first, second), QUERIES, QRELS, "nDCG@10")
    assert tuned.fusion.weights[0] == 1
    assert tuned.fusion.weights[1] * scale == pytest.approx(1, rel=0.7), "equally good systems weigh the same, whatever their units"
    assert tuned.value == pytest.approx(value(tuned.fusion, "nDCG@10"), abs=1e-12)
    assert tuned.value > max(value(first, "nDCG@10"), value(second, "nDCG@10")) + 0.05


def test_nothing_that_was_tried_is_better() -> None:
    fusion = WeightedSum(noisy(1, 1.0, 1.0), noisy(2, 0.5, 1.0), weights=(5, 5), normalization="z", missing="zero", num_results=20)
    tuned = tune_weights(fusion, QUERIES, QRELS, "AP")
    assert (tuned.fusion.normalization, tuned.fusion.missing, tuned.fusion.num_results) == ("z", "zero", 20)
    assert list(tuned.table.columns) == ["weight_1", "weight_2", "AP"]
    assert {1.0} == set(tuned.table["weight_1"])
    assert set(GRID) < set(tuned.table["weight_2"])
    assert len(tuned.table) == len(GRID) + 6
    assert tuned.table["AP"].is_monotonic_decreasing
    assert tuned.table.iloc[0].to_list() == [*tuned.fusion.weights, tuned.value]
    for row in tuned.table.sample(5, random_state=0).itertuples():
        again = WeightedSum(*fusion.systems, weights=(row.weight_1, row.weight_2), normalization="z", missing="zero", num_results=20)
        assert value(again, "AP") == pytest.approx(row.AP, abs=1e-12)


def test_refinement_finds_what_the_grid_steps_over() -> None:
    fusion = WeightedSum(noisy(1, 1.0, 1.0), noisy(2, 1.0, 1.0))
    coarse = tune_weights(fusion, QUERIES, QRELS, "AP", grid=(0.25, 1.5), rounds=0)
    fine = tune_weights(fusion, QUERIES, QRELS, "AP", grid=(0.25, 1.5), rounds=4)
    assert coarse.fusion.weights == (1, 1.5)
    assert fine.fusion.weights[1] not in (0.25, 1.5)
    assert fine.value > coarse.value
    assert len(fine.table) == 2 + 4 * 2


def test_three_systems() -> None:
    fusion = WeightedSum(noisy(1, 1.0, 1.0), noisy(2, 1.0, 10.0), noisy(3, 0.0, 1.0))
    tuned = tune_weights(fusion, QUERIES, QRELS, "AP", grid=(0, 0.1, 1, 10), rounds=1)
    assert tuned.fusion.weights[1] == pytest.approx(0.1, rel=0.5)
    assert tuned.fusion.weights[2] <= 0.1 * 2**0.5, "a system that knows nothing weighs little"
    assert len(tuned.table) > 16


@pytest.mark.slow
def test_each_system_is_asked_once_about_judged_queries_alone() -> None:
    asked: list[int] = []
    fusion = WeightedSum(noisy(1, 1.0, 1.0, asked), noisy(2, 1.0, 1.0, asked))
    others = pd.DataFrame({"qid": ["other"], "docno": ["d0"], "label": [1]})
    unjudged = pd.DataFrame({"qid": ["unjudged"], "query": ["what"]})
    tuned = tune_weights(fusion, pd.concat([unjudged, QUERIES]), pd.concat([others, QRELS]), "AP")
    assert asked == [len(QUERIES)] * 2
    assert tuned.value == tune_weights(fusion, QUERIES, QRELS, "AP").value


def test_equal_values_give_the_weights_nearest_to_equal_ones_in_any_order() -> None:
    rows = QRELS[["qid", "docno"]].assign(score=QRELS["label"].astype(float))
    perfect = pt.apply.generic(lambda queries: queries.merge(rows, on="qid"))
    for grid in ((0, 0.25, 8, 2, 0.5), (2, 8, 0.5, 0.25, 0)):
        tuned = tune_weights(WeightedSum(perfect, perfect), QUERIES, QRELS, "nDCG@10", grid=grid, rounds=0)
        assert tuned.value == 1
        assert tuned.fusion.weights == (1, 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a, b: tune_weights(WeightedSum(a), QUERIES, QRELS), UsageError, "there must be two systems or more"),
        (lambda a, b: tune_weights(WeightedSum(a, b), QUERIES, QRELS, grid=()), UsageError, "weights .*not nothing"),
        (lambda a, b: tune_weights(WeightedSum(a, b), QUERIES, QRELS, grid=(1, -1)), UsageError, "not 1, -1"),
        (lambda a, b: tune_weights(WeightedSum(a, b), QUERIES, QRELS, "best"), UsageError, "unknown measure 'best'"),
        (lambda a, b: tune_weights(WeightedSum(a, b), QUERIES, QRELS.assign(qid="x")), EvaluationError, "no query in common.*'x'"),
    ],
)
def test_what_cannot_be_tuned(call: Callable[..., object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(noisy(1, 1.0, 1.0), noisy(2, 1.0, 1.0))


def test_the_value_of_holes_is_pooled_as_in_tables() -> None:
    found = pd.DataFrame([("q0", f"d{number}", 1.0) for number in range(9)] + [("q1", "d0", 1.0)], columns=["qid", "docno", "score"])
    judged = pd.DataFrame({"qid": ["q0", "q1"], "docno": ["x", "d0"], "label": 1})
    system = pt.apply.generic(lambda queries: queries.merge(found, on="qid"))
    fusion = WeightedSum(system, pt.apply.generic(lambda queries: queries.merge(found, on="qid")))
    assert tune_weights(fusion, QUERIES, judged, "Hole@10", grid=[1], rounds=0).value == pytest.approx(0.9)


def test_queries_that_cannot_be_met_and_qrels_of_others(caplog: pytest.LogCaptureFixture) -> None:
    fusion = WeightedSum(noisy(1, 1.0, 1.0), noisy(2, 1.0, 1.0))
    tune_weights(fusion, QUERIES, QRELS.assign(label=QRELS["label"].where(QRELS["qid"] != "q3", 0)), grid=[1], rounds=0)
    (record,) = caplog.records
    assert "'q3'" in record.getMessage()
    with pytest.raises(EvaluationError, match="'other'"):
        tune_weights(fusion, QUERIES.assign(qid=["other", *QUERIES["qid"][1:] + "x"]), QRELS)
    with pytest.raises(UsageError, match="grid"):
        tune_weights(fusion, QUERIES, QRELS, grid=["1"])  # type: ignore[list-item]
