from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from ance_ir.errors import EvaluationError
from ance_ir.eval import compare


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
