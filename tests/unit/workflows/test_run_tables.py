"""What tables tell of runs, compared with what stands in their logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.eval import Table
from ance_ir.workflows import LoggedRun, differences_table, read_training_runs, refresh_table, settings_table, summary_table
from tests.logged import logged_line, write_logged_run


def rows(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def read(*folders: Path) -> list[LoggedRun]:
    return read_training_runs(folders)


def write_lines(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_summary_of_a_run(tmp_path: Path) -> None:
    (row,) = rows(summary_table(read(write_logged_run(tmp_path / "run", steps=40))))
    lines = [logged_line(step, 40) for step in range(40)]
    assert row == {
        "run": "run",
        "negatives": "ance",
        "state": "ended, 40 steps",
        "loss": f"{np.mean([line['loss'] for line in lines[38:]]):.4f}",
        "grad norm": f"{np.mean([line['grad_norm'] for line in lines[38:]]):.4f}",
        "best RR@10": "0.4000",
        "at step": "20",
        "last RR@10": "0.2000",
        "last nDCG@10": "0.3000",
        "refreshes": "4",
        "staleness": "4.5",
        "first wait s": "5.0",
        "waited": "42.9%",
        "tokens/step": "3,000",
        "pairs/s": "64.0",
        "steps/s": "2.00",
    }


def test_a_dev_value_counts_for_the_model_it_is_of(tmp_path: Path) -> None:
    folder = write_logged_run(tmp_path / "run", steps=40)
    lines = [logged_line(step, 40) for step in range(40)]
    for line in lines:
        if "dev" in line:
            line["dev"]["step"] = max(0, line["step"] - 3)
    write_lines(folder, lines)
    assert rows(summary_table(read(folder)))[0]["at step"] == "17"


@pytest.mark.parametrize(
    ("age", "shown"), [(3.2, "3 s ago"), (59.9, "60 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")]
)
def test_a_run_that_has_not_ended_says_how_far_it_is(tmp_path: Path, age: float, shown: str) -> None:
    (run,) = read(write_logged_run(tmp_path / "run", steps=2000, done=1200, ended=False))
    aged = LoggedRun(name="x", folder=run.folder, manifest=run.manifest, ended=False, lines=run.lines, age=age)
    assert rows(summary_table([aged]))[0]["state"] == f"step 1,200 of 2,000, {shown}"


def test_runs_without_steps_or_with_old_logs_have_a_row(tmp_path: Path) -> None:
    write_logged_run(tmp_path / "new", steps=40, done=0, ended=False)
    old = write_logged_run(tmp_path / "old", steps=40, negatives="bm25")
    write_lines(old, [{"step": step, "loss": 1.0} for step in range(40)])
    new, before = rows(summary_table(read(tmp_path)))
    assert new == {"run": "new", "negatives": "ance", "state": "no step yet of 40", "loss": "–"}
    assert before == {"run": "old", "negatives": "bm25", "state": "ended, 40 steps", "loss": "1.0000"}


def test_runs_evaluated_with_different_measures_stand_in_columns_of_their_own(tmp_path: Path) -> None:
    other = write_logged_run(tmp_path / "b", steps=40)
    lines = [logged_line(step, 40) for step in range(40)]
    for line in lines:
        if "dev" in line:
            line["dev"] = {"step": line["step"], "AP": line["step"] / 100}
    write_lines(other, lines)
    table = summary_table(read(write_logged_run(tmp_path / "a", steps=40), other))
    assert table.header[5:11] == ["best RR@10", "best AP", "at step", "last RR@10", "last nDCG@10", "last AP"]
    one, two = rows(table)
    assert (one["best RR@10"], one["best AP"], one["last AP"]) == ("0.4000", "–", "–")
    assert (two["best RR@10"], two["best AP"], two["at step"], two["last RR@10"]) == ("–", "0.3000", "30", "–")


def test_a_row_for_each_refresh(tmp_path: Path) -> None:
    folder = write_logged_run(tmp_path / "run", steps=40)
    lines = [logged_line(step, 40) for step in range(40)]
    lines[22] = {**lines[22], "refresh": {"mined_at": 20, "waited_seconds": 1234.56}}
    write_lines(folder, lines)
    table = refresh_table(read(folder)[0])
    found = rows(table)
    assert [row["used from step"] for row in found] == ["0", "10", "20", "22", "30"]
    assert found[1] == {
        "used from step": "10",
        "mined at": "10",
        "encoding s": "4.0",
        "search s": "0.5",
        "mining s": "0.2",
        "waited s": "5.0",
        "documents encoded": "1,000",
        "mean score": "0.7100",
        "suspected false": "3",
        "overlap: previous": "0.6000",
        "overlap: top 100": "0.6250",
        "RR@10": "0.3000",
        "nDCG@10": "0.3000",
    }
    assert (found[3]["mined at"], found[3]["waited s"], found[3]["mean score"], found[3]["RR@10"]) == ("20", "1,234.6", "–", "0.4000")
    lines[30]["refresh"] |= {"build_seconds": 7.0, "recall_of_exact": 0.9512}
    write_lines(folder, lines)
    approximate = rows(refresh_table(read(folder)[0]))
    assert [(row["building s"], row["recall of exact"]) for row in approximate[3:]] == [("–", "–"), ("7.0", "0.9512")]
    assert not refresh_table(read(write_logged_run(tmp_path / "random", negatives="random"))[0]).rows


def test_settings_are_those_that_matter(tmp_path: Path) -> None:
    told = {row["setting"]: row["value"] for row in rows(settings_table(read(write_logged_run(tmp_path / "run", dropout=False))[0]))}
    assert told["dropout"] == "false", "not the default"
    assert (told["steps"], told["learning_rate"], told["model.name"], told["negatives.draw"]) == ("40", "1e-05", "tiny", "uniform")
    assert not {"bfloat16", "clip", "weight_decay", "model.fingerprint", "environment.torch"} & told.keys()


def test_settings_in_which_runs_differ(tmp_path: Path) -> None:
    one = write_logged_run(tmp_path / "a", learning_rate=1e-4, negatives="random")
    two = write_logged_run(tmp_path / "b")
    manifest = json.loads((two / "run.json").read_text())
    manifest["refresh"] = {"kind": "asynchronous"}
    (two / "run.json").write_text(json.dumps(manifest))
    table = differences_table(read(one, two))
    assert table is not None
    assert table.header == ["setting", "a", "b"]
    assert table.rows == [
        ["learning_rate", "0.0001", "1e-05"],
        ["negatives.name", "random", "ance"],
        ["refresh.kind", "–", "asynchronous"],
    ]
    assert differences_table(read(one)) is None


def test_columns_are_aligned() -> None:
    table = Table(header=["run", "loss"], rows=[["a", "1.5"], ["longer", "10.25"]])
    assert table.to_text() == "run      loss\n──────  ─────\na         1.5\nlonger  10.25"


def test_a_run_is_shown_in_a_line_and_in_a_notebook(tmp_path: Path) -> None:
    (run,) = read_training_runs([write_logged_run(tmp_path / "<a>")])
    assert repr(run).startswith("LoggedRun('<a>', ")
    assert run.state in repr(run) and "\n" not in repr(run)
    assert "&lt;a&gt;" in run._repr_html_() and "<a>" not in run._repr_html_()
