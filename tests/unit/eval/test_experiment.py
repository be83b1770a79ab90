from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import EvaluationError, UsageError
from ance_ir.eval import Evaluation, evaluate_systems, read_run
from ance_ir.eval.runs.kept import KeptRuns
from ance_ir.notices import collected

QUERIES = pd.DataFrame({"qid": [f"q{i}" for i in range(12)], "query": [f"query {i}" for i in range(12)]})
QRELS = pd.DataFrame({"qid": [f"q{i}" for i in range(1, 13)], "docno": "good", "label": 1})


class Fixed(pt.Transformer):  # type: ignore[misc]
    """Finds the relevant document at a rank of its own, and remembers what it was asked."""

    def __init__(self, rank: int, delay: float = 0) -> None:
        self.rank = rank
        self.delay = delay
        self.asked: list[list[str]] = []

    def fingerprint(self) -> str:
        return f"fixed {self.rank}"

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        self.asked.append(inp["qid"].tolist())
        found = ["bad0", "bad1", "bad2"]
        found.insert(self.rank, "good")
        rows = [(qid, docno, float(-place)) for number, qid in enumerate(inp["qid"]) for place, docno in enumerate(found[number % 2 :])]
        return pd.DataFrame(rows, columns=["qid", "docno", "score"])


@pytest.fixture
def systems() -> Mapping[str, Fixed]:
    return {"bm25": Fixed(2), "ance": Fixed(1), "same % 10": Fixed(2)}


@pytest.fixture
def evaluation(systems: Mapping[str, Fixed]) -> Evaluation:
    return evaluate_systems(systems, QUERIES, QRELS, ["RR@10", "R@1"], baseline="bm25")


def test_queries_with_qrels_are_run_after_one_to_warm_up(systems: Mapping[str, Fixed], evaluation: Evaluation) -> None:
    asked = [f"q{i}" for i in range(1, 12)]
    assert all(system.asked == [["q1"], asked] for system in systems.values())
    assert evaluation.per_query["ance"].index.tolist() == asked
    assert evaluation.qrels["qid"].tolist() == asked


def test_queries_that_are_left_out_are_warned_of_and_stand_in_the_results(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    found = evaluate_systems({"a": Fixed(0)}, QUERIES, QRELS)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    without, unasked = warned
    assert "1 of 12 queries" in without
    assert repr("q0") in without
    assert "1 of 12 queries" in unasked
    assert repr("q12") in unasked
    assert found.notices == tuple(warned)
    found.save(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["notices"] == warned
    caplog.clear()
    assert evaluate_systems({"a": Fixed(0)}, QUERIES, QRELS[QRELS["qid"] != "q12"], judged_in_part=True).notices == ()


def test_queries_without_results_are_warned_of() -> None:
    run = pd.DataFrame({"qid": ["q1"], "docno": ["good"], "score": [1.0]})
    (notice,) = evaluate_systems({}, QUERIES[1:3], QRELS[:2], runs={"theirs": run}).notices
    assert notice.startswith("theirs: ")
    assert "1 of 2 queries ('q2')" in notice


def test_what_was_warned_of_when_a_kept_run_was_made_is_warned_of_again(tmp_path: Path) -> None:
    kept = KeptRuns(tmp_path)
    run = pd.DataFrame({"qid": ["q1"], "docno": ["a"], "score": [1.0]})
    kept.put("x", "key", run, 1.0, ["3 texts were cut"])
    with collected() as notices:
        assert kept.get("x", "key") is not None
    assert notices == ["3 texts were cut"]


def test_the_table_holds_means_and_times(evaluation: Evaluation) -> None:
    table = evaluation.table()
    assert table.index.tolist() == ["bm25", "ance", "same % 10"]
    assert table.columns.tolist() == ["RR@10", "R@1", "ms/query"]
    assert table["RR@10"].tolist() == pytest.approx([(6 / 3 + 5 / 2) / 11, (6 / 2 + 5) / 11, (6 / 3 + 5 / 2) / 11])
    assert (table["ms/query"] > 0).all()
    assert evaluation.runs["ance"].columns.tolist() == ["qid", "docno", "score", "rank"]


def test_the_time_is_a_querys(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 10.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    assert evaluate_systems({"a": Fixed(0)}, QUERIES, QRELS).ms_per_query == {"a": pytest.approx(500 / 11)}


def test_the_text_marks_what_differs_from_the_baseline(evaluation: Evaluation) -> None:
    assert evaluation.significant() == {("ance", "RR@10"), ("ance", "R@1")}
    lines = evaluation.to_text().splitlines()
    assert [" ".join(line.split()[:-1]) for line in [lines[0], *lines[2:5]]] == [
        "system RR@10 R@1",
        "bm25 0.4091 0.0000",
        "ance 0.7273† 0.4545†",
        "same % 10 0.4091 0.0000",
    ]
    assert len({len(line) for line in lines[:5]}) == 1
    assert str(evaluation) == evaluation.to_text()
    assert lines[5] == "11 queries; † differs from bm25 (paired t-test, two-sided, Holm-corrected over 4 tests, p < 0.05)"


def test_without_a_baseline_nothing_is_compared() -> None:
    alone = evaluate_systems({"a": Fixed(0)}, QUERIES, QRELS)
    assert alone.comparison is None
    assert alone.to_text().splitlines()[-1] == "11 queries"
    assert "†" not in alone.to_text()
    assert "comparison" not in alone.to_json()["systems"]["a"]


def test_what_is_saved_can_be_read_again(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.save(tmp_path / "out", {"k": 10})
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["settings"] == {"k": 10}
    assert {key: value for key, value in results.items() if key != "settings"} == json.loads(json.dumps(evaluation.to_json()))
    assert results["queries"] == 11
    assert results["systems"]["ance"]["measures"]["R@1"] == pytest.approx(5 / 11)
    assert results["systems"]["ance"]["comparison"]["R@1"]["wins"] == 5
    assert results["systems"]["same % 10"]["comparison"]["R@1"]["p"] == 1.0
    assert "comparison" not in results["systems"]["bm25"]
    values = pd.read_csv(tmp_path / "out" / "per_query.tsv", sep="\t").set_index(["system", "qid"])
    for system, expected in evaluation.per_query.items():
        assert np.array_equal(values.loc[system].loc[expected.index].to_numpy(), expected.to_numpy())
    assert sorted(path.name for path in (tmp_path / "out" / "runs").iterdir()) == ["ance.txt.gz", "bm25.txt.gz", "same%20%25%2010.txt.gz"]
    pd.testing.assert_frame_equal(read_run(tmp_path / "out" / "runs" / "ance.txt.gz"), evaluation.runs["ance"], check_dtype=False)


def test_runs_that_are_there_are_used_again(tmp_path: Path) -> None:
    announced: list[tuple[list[str], int]] = []

    def announce(systems: Mapping[str, pt.Transformer], queries: pd.DataFrame) -> AbstractContextManager[None]:
        announced.append((list(systems), len(queries)))
        return contextlib.nullcontext()

    def evaluated(queries: pd.DataFrame = QUERIES, **systems: Fixed) -> Evaluation:
        return evaluate_systems(systems, queries, QRELS, ["RR@10"], kept=KeptRuns(tmp_path / "runs"), announce=announce)

    first = evaluated(a=Fixed(0), b=Fixed(1))
    assert first.reused == ()
    again = {"a": Fixed(0), "b": Fixed(2)}
    second = evaluated(**again)
    assert second.reused == ("a",)
    assert announced == [(["a", "b"], 11), (["b"], 11)]
    assert again["a"].asked == []
    assert again["b"].asked
    assert second.ms_per_query["a"] == first.ms_per_query["a"]
    pd.testing.assert_frame_equal(second.runs["a"], first.runs["a"], check_dtype=False)
    assert second.per_query["b"]["RR@10"].tolist() != first.per_query["b"]["RR@10"].tolist()
    assert evaluated(QUERIES.assign(query="other"), a=Fixed(0)).reused == (), "other queries"
    evaluated(a=Fixed(0))
    second.save(tmp_path)
    assert evaluated(a=Fixed(0), b=Fixed(2)).reused == ("a", "b"), "what is saved is kept"


@pytest.mark.parametrize("damage", ["run", "key", "json", "content"])
def test_a_kept_run_without_its_key_is_made_again(damage: str, tmp_path: Path) -> None:
    kept = KeptRuns(tmp_path)
    run = pd.DataFrame({"qid": ["q1"], "docno": ["d"], "score": [1.0]})
    kept.put("a", "key", run, 2.0)
    found = kept.get("a", "key")
    assert found is not None
    assert found[1] == 2.0
    assert kept.get("a", "other") is None
    assert kept.get("a", None) is None
    {
        "run": (tmp_path / "a.txt.gz").unlink,
        "key": (tmp_path / "a.json").unlink,
        "json": lambda: (tmp_path / "a.json").write_text("[1"),
        "content": lambda: (tmp_path / "a.txt.gz").write_bytes(b"cut short"),
    }[damage]()
    assert kept.get("a", "key") is None


def test_all_columns_of_the_queries_count(tmp_path: Path) -> None:
    def reused(queries: pd.DataFrame) -> tuple[str, ...]:
        return evaluate_systems({"a": Fixed(0)}, queries, QRELS, kept=KeptRuns(tmp_path)).reused

    assert reused(QUERIES) == ()
    assert reused(QUERIES.assign(topic=1)) == ()
    assert reused(QUERIES.assign(topic=1)) == ("a",)
    for _ in range(2):
        assert reused(QUERIES.assign(query_vec=[np.zeros(2)] * len(QUERIES))) == (), "vectors are not compared"


def test_long_names_are_kept_apart(tmp_path: Path) -> None:
    kept, names = KeptRuns(tmp_path), [f"bm25 % 100 >> bert[model={'/folder' * 40}{end}]" for end in "12"]
    for number, name in enumerate(names):
        kept.put(name, "key", pd.DataFrame({"qid": ["q1"], "docno": [f"d{number}"], "score": [1.0]}), 2.0)
    for number, name in enumerate(names):
        found = kept.get(name, "key")
        assert found is not None
        assert found[0]["docno"].tolist() == [f"d{number}"]


def test_a_run_of_unknown_origin_is_kept_but_never_used_again(tmp_path: Path) -> None:
    kept = KeptRuns(tmp_path)
    system = Fixed(0)
    function = pt.apply.generic(lambda frame: system.transform(frame), transform_outputs=lambda columns: columns)
    for _ in range(2):
        assert evaluate_systems({"a": function}, QUERIES, QRELS, kept=kept).reused == ()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt.gz"]


def test_each_difference_from_the_baseline_is_told(evaluation: Evaluation) -> None:
    lines = evaluation.comparison_text().splitlines()
    assert lines[0].split()[:5] == ["system", "measure", "difference", "from", "bm25"]
    assert len(lines) == 2 + 4
    low, high = evaluation.interval("ance", "RR@10", "difference_")
    assert f"+0.3182  [{low:+.4f}, {high:+.4f}]" in lines[2]
    assert lines[2].endswith("11/0/0")
    assert evaluate_systems({"a": Fixed(0)}, QUERIES, QRELS).comparison_text() == ""


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    evaluate_systems({"../a": Fixed(0), "..": Fixed(0)}, QUERIES, QRELS).save(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "runs").iterdir()) == ["..%2Fa.txt.gz", "...txt.gz"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_system_that_finds_nothing_gets_zeros() -> None:
    nothing = pt.Transformer.from_df(pd.DataFrame(columns=["qid", "docno", "score"]), uniform=True)
    table = evaluate_systems({"nothing": nothing, "a": Fixed(0)}, QUERIES, QRELS, ["R@1"], baseline="a").table()
    assert table["R@1"].tolist() == pytest.approx([0.0, 6 / 11])


def test_ids_that_are_numbers_are_named_with_their_side(systems: Mapping[str, Fixed]) -> None:
    for queries, qrels, side in ((QUERIES.assign(qid=range(len(QUERIES))), QRELS, "queries"), (QUERIES, QRELS.assign(qid=1), "qrels")):
        with pytest.raises(EvaluationError, match=rf"{side}.*qid.*\(int"):
            evaluate_systems(systems, queries, qrels)


def test_what_cannot_be_evaluated_is_refused() -> None:
    systems = {"a": Fixed(0)}
    with pytest.raises(EvaluationError, match="there is no system"):
        evaluate_systems({}, QUERIES, QRELS)
    with pytest.raises(EvaluationError, match="there are no queries"):
        evaluate_systems(systems, QUERIES.head(0), QRELS)
    with pytest.raises(EvaluationError, match=r"query missing.*qid"):
        evaluate_systems(systems, QUERIES[["qid"]], QRELS)
    with pytest.raises(EvaluationError, match=r"the queries: .*'q0'"):
        evaluate_systems(systems, pd.concat([QUERIES, QUERIES]), QRELS)
    with pytest.raises(EvaluationError, match=r"'q0'.*'x'"):
        evaluate_systems(systems, QUERIES, QRELS.assign(qid="x"))
    with pytest.raises(EvaluationError, match="label missing"):
        evaluate_systems(systems, QUERIES, QRELS[["qid", "docno"]])
    with pytest.raises(EvaluationError, match="the baseline 'b' is none of the systems: a"):
        evaluate_systems(systems, QUERIES, QRELS, baseline="b")
    with pytest.raises(UsageError, match="unknown measure 'x'"):
        evaluate_systems(systems, QUERIES, QRELS, ["x"])
    assert systems["a"].asked == []
    with pytest.raises(EvaluationError, match=r"system b.*docno score missing"):
        evaluate_systems({"b": pt.Transformer.identity()}, QUERIES, QRELS)


def test_a_systems_own_error_is_raised_as_it_is() -> None:
    def fail(_: pd.DataFrame) -> pd.DataFrame:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        evaluate_systems({"a": pt.apply.generic(fail, transform_outputs=lambda columns: columns)}, QUERIES, QRELS)


def test_holes_are_one_quantity_in_table_comparison_and_interval() -> None:
    # on q0 nine of ten are judged, on the others the only one found is not: pooled they are far apart from the mean over queries
    qids = [f"q{i}" for i in range(12)]
    queries = pd.DataFrame({"qid": qids, "query": qids})
    qrels = pd.DataFrame([("q0", f"d{i}", 1) for i in range(9)] + [(qid, "x", 1) for qid in qids[1:]], columns=["qid", "docno", "label"])

    def run(alone: str) -> pd.DataFrame:
        rows = [("q0", f"d{i}", -float(i)) for i in range(10)] + [(qid, alone, 0.0) for qid in qids[1:]]
        return pd.DataFrame(rows, columns=["qid", "docno", "score"])

    found = evaluate_systems({}, queries, qrels, ["Hole@10"], runs={"judged": run("x"), "unjudged": run("y")}, baseline="judged")
    table = found.table()["Hole@10"]
    assert table.tolist() == pytest.approx([1 / 21, 12 / 21])
    assert found.comparison is not None
    row = found.comparison.iloc[0]
    assert row["difference"] == pytest.approx(table["unjudged"] - table["judged"])
    low, high = found.interval("unjudged", "Hole@10", "difference_")
    assert low <= row["difference"] <= high
    assert (row["wins"], row["losses"], row["ties"]) == (11, 0, 1)


@pytest.mark.parametrize(
    ("systems", "queries", "found"),
    [
        ({"f": lambda queries: queries}, QUERIES, "function"),
        ({1: Fixed(1)}, QUERIES, "1"),
        ({" ": Fixed(1)}, QUERIES, "' '"),
        ({"none": pt.apply.generic(lambda queries: None)}, QUERIES, "NoneType"),
        ({"a": Fixed(1)}, QUERIES.assign(query=["x"] * 11 + [3]), "3.*'q11'"),
        ({"a": Fixed(1)}, QUERIES.assign(query=["x"] * 11 + [None]), "'q11'"),
    ],
)
def test_what_is_no_system_or_no_query_is_named(systems: Any, queries: pd.DataFrame, found: str) -> None:
    with pytest.raises((EvaluationError, UsageError), match=found):
        evaluate_systems(systems, queries, QRELS, ["RR@10"])
    with pytest.raises(UsageError, match="RR@10"):
        evaluate_systems({"a": Fixed(1)}, QUERIES, QRELS, "RR@10")
