"""Fusion against brute force, and against other libraries where they define the same."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import UsageError
from ance_ir.pipelines import ReciprocalRankFusion, WeightedSum
from ance_ir.pipelines.fusion import FUSIONS, Missing, Normalization

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")

QUERIES = pd.DataFrame({"qid": ["q9", "q1", "q5"], "query": ["nine", "one", "five"], "topic": [9, 1, 5]})


def run(found: dict[str, dict[str, float]], **columns: str) -> pt.Transformer:
    """A system that finds what it is told, scores by docno and qid, unsorted and unranked."""
    rows = [(qid, docno, score) for qid, scores in found.items() for docno, score in scores.items()]
    frame = pd.DataFrame(rows, columns=["qid", "docno", "score"]).astype({"qid": str, "docno": str, "score": float})

    def retrieve(queries: pd.DataFrame) -> pd.DataFrame:
        return queries.merge(frame, on="qid").assign(**columns) if len(queries) else frame.iloc[:0].assign(query="", topic=0)

    return pt.apply.generic(retrieve)


def random_runs(seed: int, systems: int, ties: bool) -> list[dict[str, dict[str, float]]]:
    generator = np.random.default_rng(seed)
    runs = []
    for _ in range(systems):
        found = {}
        for qid in QUERIES["qid"]:
            size = int(generator.integers(0, 9))
            docnos = generator.choice([f"d{number}" for number in range(12)], size, replace=False)
            scores = generator.integers(0, 3, size) if ties else generator.normal(10, 5, size)
            if size:
                found[qid] = {str(docno): float(score) for docno, score in zip(docnos, scores, strict=True)}
        runs.append(found)
    return runs


def order(scores: dict[str, float]) -> list[str]:
    """Best first, ties by docno, last first."""
    return sorted(scores, key=lambda docno: (np.float32(scores[docno]), docno), reverse=True)


def reciprocal(scores: dict[str, float], k: float) -> tuple[dict[str, float], float]:
    return {docno: 1 / (k + place) for place, docno in enumerate(order(scores), start=1)}, 0.0


def normalised(scores: dict[str, float], normalization: str, missing: str) -> tuple[dict[str, float], float]:
    """One list's scores, and what a document gets that it lacks, as the definitions say."""
    if not scores:
        return {}, 0.0
    low, high = min(scores.values()), max(scores.values())
    if normalization == "min-max":
        scores = {docno: (score - low) / (high - low) if high > low else 1.0 for docno, score in scores.items()}
    elif normalization == "z":
        mean, deviation = statistics.fmean(scores.values()), statistics.pstdev(scores.values())
        scores = {docno: (score - mean) / deviation if high > low else 0.0 for docno, score in scores.items()}
    return scores, min(scores.values()) if missing == "min" else 0.0


def fused(lists: Sequence[tuple[dict[str, float], float]], weights: Sequence[float]) -> dict[str, float]:
    docnos = {docno for scores, _ in lists for docno in scores}
    return {docno: sum(w * scores.get(docno, lacking) for w, (scores, lacking) in zip(weights, lists, strict=True)) for docno in docnos}


def assert_results(found: pd.DataFrame, expected: dict[str, dict[str, float]], k: int = 1000) -> None:
    assert found["qid"].drop_duplicates().tolist() == [qid for qid in QUERIES["qid"] if expected[qid]]
    for qid, scores in expected.items():
        results = found[found["qid"] == qid]
        assert results["docno"].tolist() == order(scores)[:k]
        assert results["rank"].tolist() == list(range(min(k, len(scores))))
        assert results["score"].tolist() == pytest.approx([scores[docno] for docno in order(scores)[:k]], abs=1e-9)
        assert set(results["query"]) <= set(QUERIES.loc[QUERIES["qid"] == qid, "query"])
        assert set(results["topic"]) <= set(QUERIES.loc[QUERIES["qid"] == qid, "topic"])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("systems", [1, 2, 3])
def test_reciprocal_ranks_by_brute_force(seed: int, systems: int) -> None:
    runs = random_runs(seed, systems, ties=seed % 2 == 0)
    found = ReciprocalRankFusion(*map(run, runs), k=7, num_results=5)(QUERIES)
    expected = {qid: fused([reciprocal(found.get(qid, {}), 7) for found in runs], [1] * systems) for qid in QUERIES["qid"]}
    assert_results(found, expected, 5)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("normalization", ["none", "min-max", "z"])
@pytest.mark.parametrize("missing", ["min", "zero"])
def test_weighted_sums_by_brute_force(seed: int, normalization: Normalization, missing: Missing) -> None:
    runs = random_runs(seed, 1 + seed % 3, ties=seed % 2 == 0)
    weights = [1, 0.3, -0.5][: len(runs)]
    found = WeightedSum(*map(run, runs), weights=weights, normalization=normalization, missing=missing)(QUERIES)
    expected = {qid: fused([normalised(found.get(qid, {}), normalization, missing) for found in runs], weights) for qid in QUERIES["qid"]}
    assert_results(found, expected)


def test_bm25_and_dense_as_the_dpr_paper_joins_them() -> None:
    bm25 = run({"q1": {"a": 10.0, "b": 8.0}, "q5": {"a": 3.0}})
    dense = run({"q1": {"b": 70.0, "c": 60.0}, "q9": {"z": 1.0}})
    found = WeightedSum(bm25, dense, weights=(1, 1.1))(QUERIES)
    assert_results(found, {"q9": {"z": 1.1}, "q1": {"a": 10 + 66.0, "b": 8 + 77.0, "c": 8 + 66.0}, "q5": {"a": 3.0}})


def test_exact_dense_scores_over_the_union() -> None:
    exact = pt.apply.doc_score(lambda row: {"a": 65.0, "b": 70.0, "c": 60.0}[row["docno"]])
    bm25, dense = run({"q1": {"a": 10.0, "b": 8.0}}), run({"q1": {"b": 70.0, "c": 60.0}})
    found = WeightedSum(bm25, (bm25 | dense) >> exact)(QUERIES)
    assert_results(found, {"q9": {}, "q1": {"a": 75.0, "b": 78.0, "c": 68.0}, "q5": {}})


def test_reciprocal_ranks_as_pyterrier_alpha_has_them() -> None:
    fusion = pytest.importorskip("pyterrier_alpha").fusion
    runs = [run(found) >> pt.apply.generic(pt.model.add_ranks) for found in random_runs(3, 3, ties=False)]
    theirs = fusion.RRFusion(*runs, k=61)(QUERIES)  # they count ranks from 0
    ours = ReciprocalRankFusion(*runs, k=60)(QUERIES)
    both = ours.merge(theirs, on=["qid", "docno"])
    assert len(both) == len(ours) == len(theirs) > 20
    assert both["score_x"].tolist() == pytest.approx(both["score_y"].tolist(), rel=1e-12)


@pytest.mark.parametrize("normalization", ["min-max", "z"])
def test_normalised_sums_as_scipy_and_sklearn_normalise(normalization: Normalization) -> None:
    scale = {
        "min-max": pytest.importorskip("sklearn.preprocessing").minmax_scale,
        "z": pytest.importorskip("scipy.stats").zscore,
    }[normalization]
    scores = np.random.default_rng(0).normal(size=50)
    found = WeightedSum(run({"q1": {f"d{number}": score for number, score in enumerate(scores)}}), normalization=normalization)(QUERIES)
    assert found["score"].tolist() == pytest.approx(sorted(scale(scores), reverse=True), abs=1e-12)


def test_a_document_that_comes_twice_counts_where_it_stands_first() -> None:
    rows = {"qid": ["q1"] * 4, "docno": ["a", "b", "a", "c"], "score": [1.0, 2.0, 3.0, 0.5]}
    twice = pt.apply.generic(lambda _: pd.DataFrame(rows).assign(query="one", topic=1))
    found = ReciprocalRankFusion(twice)(QUERIES)
    assert_results(found, {"q9": {}, "q1": {"a": 1 / 61, "b": 1 / 62, "c": 1 / 63}, "q5": {}})


def test_equal_scores_differ_by_no_rounding() -> None:
    runs = [run({"q1": {docno: 0.1 for docno in "abcdefg"}, "q5": {"a": 0.1}})] * 3
    found = WeightedSum(*runs, normalization="z")(QUERIES)
    assert set(found["score"]) == {0.0}
    assert found["docno"].tolist() == [*"gfedcba", "a"]


def test_columns_come_from_the_first_system_that_has_them() -> None:
    first = run({"q1": {"a": 2.0, "b": 1.0}, "q5": {"a": 1.0}}, text="first", qsource="1", only="yes")
    second = run({"q1": {"b": 3.0, "c": 1.0}, "q9": {"c": 1.0}}, text="second", qsource="2", number="2")
    found = ReciprocalRankFusion(first, second)(QUERIES).set_index(["qid", "docno"])
    assert found["text"].to_dict() == {
        **dict.fromkeys([("q1", "a"), ("q1", "b"), ("q5", "a")], "first"),
        **dict.fromkeys([("q1", "c"), ("q9", "c")], "second"),
    }
    assert {qid: source for (qid, _), source in found["qsource"].items()} == {"q9": "2", "q1": "1", "q5": "1"}
    assert found["qsource"].notna().all()
    assert found.loc[("q1", "b"), ["only", "number"]].tolist() == ["yes", "2"]
    assert found["only"].isna().to_dict()[("q1", "c")]
    assert found["topic"].dtype == np.int64


def test_a_system_without_results_and_systems_without_any() -> None:
    some, none = run({"q1": {"a": 2.0, "b": 1.0}}), run({})
    for fusion in (WeightedSum(none, some), WeightedSum(some, none), WeightedSum(some)):
        assert_results(fusion(QUERIES), {"q9": {}, "q1": {"a": 2.0, "b": 1.0}, "q5": {}})
    nothing = WeightedSum(none, none)(QUERIES)
    assert nothing.empty
    assert set(nothing.columns) == {"qid", "query", "topic", "docno", "score", "rank"}


def test_a_system_without_results_does_not_change_the_types_of_columns() -> None:
    some = run({"q1": {"a": 2.0, "b": 1.0}})
    untyped = pt.apply.generic(lambda queries: pd.DataFrame(columns=[*queries.columns, "docno", "score"]))
    for fusion in (ReciprocalRankFusion(untyped, some), ReciprocalRankFusion(some, untyped)):
        pd.testing.assert_series_equal(fusion(QUERIES).dtypes, ReciprocalRankFusion(some)(QUERIES).dtypes, check_like=True)


def test_what_a_system_gives_must_be_scores() -> None:
    with pytest.raises(UsageError, match="only qid, query"):
        ReciprocalRankFusion(run({}), pt.apply.generic(lambda frame: frame[["qid", "query"]]))(QUERIES)
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(UsageError, match=r"'q1'.*'b'"):
            WeightedSum(run({"q1": {"a": 1.0, "b": wrong}}))(QUERIES)


def test_arguments_that_cannot_be_meant() -> None:
    system = run({})
    with pytest.raises(UsageError, match="systems"):
        ReciprocalRankFusion()
    with pytest.raises(UsageError, match=r"k must be .* -1"):
        ReciprocalRankFusion(system, k=-1)
    with pytest.raises(UsageError, match="num_results"):
        ReciprocalRankFusion(system, num_results=0)
    for weights in ([1.0], [1.0, math.nan]):
        with pytest.raises(UsageError, match="weights"):
            WeightedSum(system, system, weights=weights)
    with pytest.raises(UsageError, match="normalization"):
        WeightedSum(system, normalization="max")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="missing"):
        WeightedSum(system, missing="max")  # type: ignore[arg-type]


def test_compiling_fuses_cutoffs_inside_and_outside() -> None:
    class Retriever(pt.Transformer):
        def __init__(self, num_results: int = 1000) -> None:
            self.num_results = num_results

        def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
            found: pd.DataFrame = run({"q1": {"a": 2.0, "b": 1.0}})(inp)
            return found.assign(rank=found.groupby("qid").cumcount()).query("rank < @self.num_results")

        def fuse_rank_cutoff(self, k: int) -> Retriever:
            return Retriever(k)

    fusion = WeightedSum(Retriever() >> pt.RankCutoff(1), Retriever(), weights=(1, 2))
    compiled = (fusion >> pt.RankCutoff(2)).compile()
    assert isinstance(compiled, WeightedSum)
    assert (compiled.num_results, compiled.weights) == (2, (1, 2))
    assert [system.num_results for system in compiled.systems] == [1, 1000]
    pd.testing.assert_frame_equal(compiled(QUERIES), fusion(QUERIES))


@pytest.mark.parametrize("name", FUSIONS)
def test_every_fusion_ranks_the_union_of_what_its_systems_find(name: str) -> None:
    runs = random_runs(1, 2, ties=False)
    fused = FUSIONS[name](*map(run, runs), num_results=1000)
    found = fused(QUERIES)
    expected = {(qid, docno) for one in runs for qid, scores in one.items() for docno in scores}
    assert set(zip(found["qid"], found["docno"], strict=True)) == expected
    assert len(found) == len(expected)
    for _, ranked in found.groupby("qid"):
        assert ranked["rank"].tolist() == list(range(len(ranked)))
        assert ranked["score"].is_monotonic_decreasing
    assert len(FUSIONS[name](*map(run, runs), num_results=2)(QUERIES)) < len(found)
