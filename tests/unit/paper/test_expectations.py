"""What becomes of the paper's expectations, and the page that says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from ance_ir.errors import EvaluationError
from ance_ir.eval.significance import compare, compare_pairs
from ance_ir.eval.tables import Table
from ance_ir.paper.expectations import expectations
from ance_ir.paper.report import Row, collect, spread


def _values(mean: float, seed: int = 0, queries: int = 200) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(scale=0.05, size=queries)
    return pd.DataFrame({"RR@10": mean + noise}, index=pd.Index([f"q{i}" for i in range(queries)], name="qid"))


def _verdicts(per_query: dict[str, pd.DataFrame], numbers: dict[str, dict[str, list[float]]] | None = None) -> dict[str, str]:
    return {outcome.expected: outcome.verdict for outcome in expectations(per_query, numbers or {}, 1000)}


@pytest.mark.parametrize(
    ("means", "verdicts"),
    [
        ({"ance": 0.5, "bm25+random": 0.4, "bm25": 0.3, "random": 0.3}, ["as in the paper"] * 3 + ["no significant difference"]),
        (
            {"ance": 0.4, "bm25+random": 0.5, "bm25": 0.3, "random": 0.2},
            ["does not hold", "as in the paper", "as in the paper", "does not hold"],
        ),
        (
            {"ance": 0.4, "bm25+random": 0.4, "bm25": 0.4, "random": 0.5},
            ["no significant difference", "does not hold", "no significant difference", "does not hold"],
        ),
    ],
)
def test_the_order_of_the_schemes(means: dict[str, float], verdicts: list[str]) -> None:
    per_query = {name: _values(mean, seed) for seed, (name, mean) in enumerate(means.items())}
    found = _verdicts(per_query)
    ance = [f"ance is better than {other}" for other in ("bm25+random", "random")]
    assert list(found) == [*ance, "bm25+random is better than bm25", "bm25 is about as good as random"]
    assert list(found.values()) == verdicts


@pytest.mark.parametrize(("seeds", "verdict"), [([0.5, 0.45], "holds"), ([0.65, 0.35], "no significant difference")])
def test_what_is_so_under_some_seeds_only_does_not_hold(seeds: list[float], verdict: str) -> None:
    per_query = {"ance": _values(0.5, 1), "bm25+random": _values(0.4, 2)}
    assert list(_verdicts(per_query, {"ance": {"RR@10": seeds}, "bm25+random": {"RR@10": [0.4, 0.4]}}).values()) == [verdict]


def test_seeds_that_disagree_do_not_make_systems_alike() -> None:
    per_query = {"bm25": _values(0.6, 1), "random": _values(0.3, 2)}
    seeds = {"bm25": {"RR@10": [1.0, 0.2]}, "random": {"RR@10": [0.3, 0.3]}}
    assert list(_verdicts(per_query, seeds).values()) == ["does not hold"]


def test_figures_of_a_comparison() -> None:
    per_query = {"bm25+random": _values(0.4, 1), "bm25": _values(0.39, 2), "random": _values(0.3, 3)}
    (mixed, alike) = expectations(per_query, {}, 1000)
    p = ttest_rel(per_query["bm25+random"]["RR@10"], per_query["bm25"]["RR@10"]).pvalue
    means = [float(per_query[name]["RR@10"].mean()) for name in ("bm25+random", "bm25")]
    told = f"RR@10 {means[0]:.4f} and {means[1]:.4f}, difference {means[0] - means[1]:+.4f}, p {p:.2g} of a paired t-test over 200 queries"
    assert mixed.figures == f"{told}, Holm-corrected over 2"
    assert alike.line().startswith("- bm25 is about as good as random: **does not hold** (RR@10 ")


@pytest.mark.parametrize(
    ("ance", "verdict"),
    [
        ([4.0, 5.0, 6.0], "holds"),
        ([4.0, 5.0], "as in the paper"),
        ([1.9, 1.6], "does not hold"),
        ([0.1, 0.2], "does not hold"),
        ([9.0, 1.1], "no significant difference"),
        ([9.0], "not testable here"),
    ],
)
def test_gradient_norms(ance: list[float], verdict: str) -> None:
    numbers = {"ance": {"grad_norm_end": ance}, "random": {"grad_norm_end": [1.0, 1.5, 1.5]}, "bm25": {"grad_norm_end": [7.0]}}
    found = _verdicts({}, numbers)
    assert found == {"the gradient norms of ance lie far above those of random (at least 2 times as large)": verdict}


@pytest.mark.parametrize(("name", "shares", "verdict"), [
    ("random", [0.04, 0.06, 0.05], "holds"), ("random", [0.2, 0.3], "does not hold"), ("random", [0.05], "as in the paper"),
    ("bm25 -> ance", [0.7, 0.6, 0.6], "holds"), ("bm25 -> ance", [0.7, 0.6], "as in the paper"),
    ("bm25 -> ance", [0.4, 0.3], "does not hold"),
    ("bm25 -> ance", [0.4, 0.7], "no significant difference"),
])  # fmt: skip
def test_overlaps(name: str, shares: list[float], verdict: str) -> None:
    ((expected, found),) = _verdicts({}, {name: {"overlap": shares}}).items()
    assert expected.endswith(f"of the negatives of {name} are among the trained model's first 100 documents")
    assert found == verdict


def test_pairs_are_compared_and_corrected_together() -> None:
    per_query = {name: _values(mean, seed) for seed, (name, mean) in enumerate({"a": 0.4, "b": 0.41, "c": 0.405}.items())}
    found = compare_pairs(per_query, [("a", "b"), ("c", "b"), ("c", "a")])
    assert list(zip(found["system"], found["baseline"], strict=True)) == [("a", "b"), ("c", "b"), ("c", "a")]
    single = [float(compare({x: per_query[x], y: per_query[y]}, y)["p"].iloc[0]) for x, y in (("a", "b"), ("c", "b"), ("c", "a"))]
    assert list(found["p"]) == pytest.approx(single)
    ordered = np.sort(single)
    assert sorted(found["p_corrected"]) == pytest.approx(list(np.minimum(1, np.maximum.accumulate(ordered * [3, 2, 1]))))
    assert compare_pairs(per_query, []).empty
    for pair in (("a", "x"), ("x", "a")):
        with pytest.raises(EvaluationError, match="'x' is none of the systems"):
            compare_pairs(per_query, [pair])


def test_rows_are_means_over_seeds() -> None:
    def result(values: list[float], loss: float) -> dict[str, object]:
        numbers = dict.fromkeys(("grad_norm", "grad_norm_end", "overlap", "tokens", "seconds", "run_seconds"), 1.0)
        return {**numbers, "loss": loss, "grad_norms": {"head": loss}, "per_query": {"test": {"qid": ["a", "b"], "RR@10": values}}}

    row = Row.of("random", [result([1.0, 0.0], 3.0), result([0.5, 0.5], 5.0), result([0.0, 0.25], 7.0)])
    assert row.per_query["test"]["RR@10"].to_dict() == {"a": 0.5, "b": 0.25}
    assert row.measures["test"]["RR@10"] == [0.5, 0.5, 0.125]
    told = collect([row], "test", 10)
    assert told["systems"]["random"]["grad_norm, head"] == told["systems"]["random"]["loss"] == [3.0, 5.0, 7.0]
    assert told["queries"] == {"test": 2}


def test_cells_and_tables() -> None:
    assert spread([0.5, 0.25]) == "0.3750 ± 0.1768"
    assert spread([1234.5]) == "1,234"
    assert spread([]) == "–"
    assert Table(header=["a", "b"], rows=[["long", "c"]]).to_markdown() == "| a    | b |\n| ---- | - |\n| long | c |"
