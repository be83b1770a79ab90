from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, norm, rankdata, ttest_rel, wilcoxon

from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval import compare
from ance_ir.eval.significance import Test, intervals


def frame(**columns: list[float]) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.Index([f"q{number}" for number in range(length)], name="qid"))


def holm(p: list[float]) -> list[float]:
    order, worst, corrected = sorted(range(len(p)), key=p.__getitem__), 0.0, [0.0] * len(p)
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, p[index] * (len(p) - place)))
        corrected[index] = worst
    return corrected


def test_every_system_and_measure_is_tested_and_corrected_together() -> None:
    random = np.random.default_rng(0)
    base = {"RR": random.random(40), "AP": random.random(40)}
    systems = {
        "good": frame(**{name: list(values + 0.1 + random.normal(0, 0.1, 40)) for name, values in base.items()}),
        "base": frame(**{name: list(values) for name, values in base.items()}),
        "odd": frame(**{name: list(values + random.normal(0.02, 0.1, 40)) for name, values in base.items()}),
    }
    # the order of the queries does not matter
    table = compare({**systems, "good": systems["good"].iloc[::-1]}, "base")
    assert list(table[["system", "measure"]].itertuples(index=False, name=None)) == [
        ("good", "RR"),
        ("good", "AP"),
        ("odd", "RR"),
        ("odd", "AP"),
    ]
    expected = [ttest_rel(systems[s][m], systems["base"][m]).pvalue for s in ("good", "odd") for m in ("RR", "AP")]
    assert table["p"].tolist() == pytest.approx(expected)
    assert table["p_corrected"].tolist() == pytest.approx(holm(expected))
    assert (table["wins"] + table["losses"] + table["ties"] == 40).all()
    difference = systems["good"]["RR"] - systems["base"]["RR"]
    assert table.loc[0, "difference"] == pytest.approx(difference.mean())
    assert table.loc[0, "wins"] == (difference > 0).sum()


def test_wins_losses_and_ties() -> None:
    table = compare({"a": frame(m=[0, 0.5, 0.5, 1]), "b": frame(m=[0, 1, 1, 0])}, "a")
    assert table.loc[0, ["wins", "losses", "ties"]].tolist() == [2, 1, 1]


def test_the_randomisation_test_counts_signs() -> None:
    differences = np.array([0.3, -0.1, 0.2, 0.5, 0.0, 0.4, -0.2, 0.3])
    means = [np.mean(differences * signs) for signs in itertools.product([1, -1], repeat=len(differences))]
    expected = np.mean([abs(mean) >= abs(differences.mean()) - 1e-12 for mean in means])
    systems = {"a": frame(m=[0.0] * 8), "b": frame(m=differences.tolist())}
    assert compare(systems, "a", test="randomisation").loc[0, "p"] == pytest.approx(expected)
    many = {"a": frame(m=[0.0] * 400), "b": frame(m=np.random.default_rng(1).normal(0.03, 0.3, 400).tolist())}
    sampled = compare(many, "a", test="randomisation")
    assert sampled.equals(compare(many, "a", test="randomisation")), "seeded"
    assert not sampled.equals(compare(many, "a", test="randomisation", seed=1))
    assert sampled.loc[0, "p"] == pytest.approx(compare(many, "a").loc[0, "p"], rel=0.2), "near the t-test's where there are many queries"


def test_wilcoxons_test_ranks_differences() -> None:
    values = np.random.default_rng(2).normal(0.2, 1, 15)
    found = compare({"a": frame(m=[0.0] * 16), "b": frame(m=[*values, 0.0])}, "a", test="wilcoxon").loc[0, "p"]
    ranks = rankdata(np.abs(values)).astype(int)
    statistic = min(ranks[values > 0].sum(), ranks[values < 0].sum())
    sums = np.zeros(ranks.sum() + 1)
    sums[0] = 1
    for rank in ranks:  # how many ways there are to each sum of ranks
        sums[rank:] += sums[:-rank].copy()
    assert found == pytest.approx(2 * sums[: statistic + 1].sum() / sums.sum())
    assert found == pytest.approx(wilcoxon(values).pvalue)


def test_bonferroni() -> None:
    random = np.random.default_rng(3)
    systems = {name: frame(m=random.random(20).tolist(), n=random.random(20).tolist()) for name in "abc"}
    table = compare(systems, "a", correction="bonferroni")
    assert table["p_corrected"].tolist() == pytest.approx(np.minimum(1, 4 * table["p"]).tolist())
    for name, bad in (("test", {"test": "z"}), ("correction", {"correction": "none"})):
        with pytest.raises(UsageError, match=f"unknown {name} "):
            compare(systems, "a", **bad)  # type: ignore[arg-type]


def test_intervals_are_those_of_a_bootstrap() -> None:
    random = np.random.default_rng(4)
    systems = {"a": frame(m=random.random(60).tolist()), "b": frame(m=(random.random(60) ** 2).tolist())}
    table = intervals(systems, "a").set_index("system")
    for name, values in systems.items():
        expected = bootstrap((values["m"].to_numpy(),), np.mean, method="percentile", n_resamples=9999, rng=random).confidence_interval
        assert table.loc[name, ["low", "high"]].tolist() == pytest.approx(list(expected), abs=0.004)
    differences = (systems["b"] - systems["a"])["m"].to_numpy()
    expected = bootstrap((differences,), np.mean, method="percentile", n_resamples=9999, rng=random).confidence_interval
    assert table.loc["b", ["difference_low", "difference_high"]].tolist() == pytest.approx(list(expected), abs=0.006)
    assert table.loc["a", ["difference_low", "difference_high"]].isna().all()
    assert table.reset_index().equals(intervals({name: values.iloc[::-1] for name, values in systems.items()}, "a")), "whatever the order"
    shifted = intervals({"a": systems["a"], "b": systems["a"] + 0.25}, "a").set_index("system")
    assert shifted.loc["b", ["difference_low", "difference_high"]].tolist() == pytest.approx([0.25, 0.25]), "paired"


def test_intervals_of_weighted_means_hold_them() -> None:
    values = frame(m=[1.0] * 4 + [0.0] * 36, n=[float("nan")] * 40)
    weights = frame(m=[10.0] * 4 + [1.0] * 36, n=[0.0] * 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = intervals({"a": values}, weights={"a": weights}).set_index("measure")
    low, high = table.loc["m", ["low", "high"]]
    assert low < 40 / 76 < high
    draws = np.random.default_rng(0).integers(40, size=(9999, 40))
    w, v = weights["m"].to_numpy()[draws], values["m"].to_numpy()[draws]
    assert [low, high] == pytest.approx(np.quantile((w * v).sum(1) / w.sum(1), [0.025, 0.975]), abs=0.02)
    assert table.loc["n", ["low", "high"]].isna().all()


@pytest.mark.parametrize("test", ["t", "randomisation", "wilcoxon"])
def test_identical_runs_survive_every_test(test: Test) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = compare({"a": frame(m=[0.1, 0.2, 0.3]), "b": frame(m=[0.1, 0.2, 0.3])}, "a", test=test)
    assert table.loc[0, ["p", "p_corrected"]].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("values", "p"),
    [([0.1, 0.2, 0.3], 1.0), ([0.1 + 0.5, 0.2 + 0.5, 0.3 + 0.5], 0.0)],
    ids=["identical", "always the same difference"],
)
def test_degenerate_differences_have_a_p_and_warn_of_nothing(values: list[float], p: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = compare({"a": frame(m=[0.1, 0.2, 0.3]), "b": frame(m=values)}, "a")
    assert table.loc[0, "p"] == pytest.approx(p, abs=1e-9)
    assert table.loc[0, "p_corrected"] == pytest.approx(p, abs=1e-9)


def test_one_query_tells_nothing() -> None:
    assert compare({"a": frame(m=[0.1]), "b": frame(m=[0.9])}, "a").loc[0, "p"] == 1.0


def test_a_baseline_alone_is_compared_with_nothing() -> None:
    table = compare({"a": frame(m=[0.1, 0.2])}, "a")
    assert table.empty
    assert "p_corrected" in table.columns


def test_what_cannot_be_compared_is_refused() -> None:
    systems = {"a": frame(m=[0.1, 0.2]), "b": frame(m=[0.1, 0.2, 0.3])}
    with pytest.raises(EvaluationError, match="b and a were not evaluated on the same queries"):
        compare(systems, "a")
    with pytest.raises(EvaluationError, match="the baseline 'c' is none of the systems: a, b"):
        compare(systems, "c")


@pytest.mark.parametrize("test", ["t", "randomisation", "wilcoxon"])
@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-6])
def test_noise_of_floating_point_is_no_difference(test: Test, scale: float) -> None:
    systems = {"a": frame(m=[0.3 * scale] * 50), "b": frame(m=[(0.1 + 0.2) * scale] * 50)}
    row = compare(systems, "a", test=test).iloc[0]
    assert row[["difference", "p", "wins", "losses", "ties"]].tolist() == [0, 1, 0, 0, 50]
    assert intervals(systems, "a").set_index("system").loc["b", ["difference_low", "difference_high"]].tolist() == [0, 0]


@pytest.mark.parametrize("test", ["t", "randomisation", "wilcoxon"])
def test_noise_does_not_change_what_differs(test: Test) -> None:
    random = np.random.default_rng(5)
    base = random.integers(0, 10, 40) / 10
    differences = random.integers(-3, 5, 40) / 10
    exact = compare({"a": frame(m=[0.0] * 40), "b": frame(m=differences.tolist())}, "a", test=test)
    noisy = compare({"a": frame(m=base.tolist()), "b": frame(m=(base + differences).tolist())}, "a", test=test)
    assert noisy.loc[0, "p"] == pytest.approx(exact.loc[0, "p"], rel=1e-9)
    assert noisy.loc[0, ["wins", "losses", "ties"]].tolist() == exact.loc[0, ["wins", "losses", "ties"]].tolist()


def test_a_weighted_mean_is_compared_as_it_is_reported() -> None:
    random = np.random.default_rng(6)
    values = {name: frame(m=random.random(200).tolist()) for name in "ab"}
    weights = {name: frame(m=random.integers(1, 11, 200).astype(float).tolist()) for name in "ab"}
    means = {name: float(np.average(values[name]["m"], weights=weights[name]["m"])) for name in "ab"}
    row = compare(values, "a", weights=weights).iloc[0]
    assert row["difference"] == pytest.approx(means["b"] - means["a"])
    low, high = intervals(values, "a", weights=weights).set_index("system").loc["b", ["difference_low", "difference_high"]]
    drawn = np.random.default_rng(7).integers(200, size=(4000, 200))
    again = {name: [frame["m"].to_numpy()[drawn] for frame in (values[name], weights[name])] for name in "ab"}
    spread = np.std(np.average(again["b"][0], 1, again["b"][1]) - np.average(again["a"][0], 1, again["a"][1]))
    assert row["p"] == pytest.approx(2 * norm.sf(abs(row["difference"]) / spread), rel=0.15), "the test's error is the bootstrap's"
    assert low < row["difference"] < high
    same = compare(values, "a", weights={name: frame(m=[7.0] * 200) for name in "ab"})
    assert same.equals(compare(values, "a")), "equal weights are none"


@pytest.mark.parametrize(
    "values",
    [
        frame(RR=[1.0, float("inf")]),
        pd.DataFrame({"RR": ["1", "0"]}, index=["q0", "q1"]),
        pd.DataFrame({"RR": [1.0, 0.5]}, index=["q0", "q0"]),
    ],
)
def test_what_are_no_values_of_queries_is_refused(values: pd.DataFrame) -> None:
    with pytest.raises(EvaluationError, match="odd"):
        compare({"base": frame(RR=[1.0, 0.5]), "odd": values}, "base")
    with pytest.raises(EvaluationError, match="odd"):
        intervals({"odd": values})


def test_plain_means_of_holes_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    values = {"base": frame(**{"Hole@10": [1.0, 0.5]}), "ours": frame(**{"Hole@10": [1.0, 0.0]})}
    compare(values, "base", weights={name: one.assign(**{"Hole@10": [10.0, 1.0]}) for name, one in values.items()})
    assert not caplog.records
    compare(values, "base")
    assert "Hole@10" in caplog.text
