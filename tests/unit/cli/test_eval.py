"""``ance-ir eval`` on runs of elsewhere, which need no index: what it says before and beside its table."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

from ance_ir.cli.main import main


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": f"text {i}"}) + "\n" for i in range(4)))
    (folder / "queries.tsv").write_text("q1\tone\nq2\ttwo\nq9\tnobody judged\n")
    (folder / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d2 1\nq7 0 d3 1\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text("q1 Q0 d1 1 2 x\nq2 Q0 d1 1 2 x\n")
    return folder


def evaluate(collection: Path, *more: str) -> int:
    return main(["eval", "--dataset", str(collection), "--out", str(collection.parent / "out"), *more])


def test_what_is_left_out_is_shown_once_and_stands_in_results_and_page(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = collection.parent / "new" / "page.html"
    assert evaluate(collection, "--run", str(collection.parent / "one.txt"), "--report", str(page)) == 0
    shown = capsys.readouterr().err
    notices = json.loads((collection.parent / "out" / "results.json").read_text())["notices"]
    assert len(notices) == 2
    for qid, notice in zip(("q9", "q7"), notices, strict=True):
        assert repr(qid) in notice
        assert shown.count(notice) == 1
        assert notice in html.unescape(page.read_text(encoding="utf-8"))


def test_results_of_something_else_are_replaced_with_a_warning(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (str(collection.parent / f"{name}.txt") for name in ("one", "two"))
    assert evaluate(collection, "--run", one) == evaluate(collection, "--run", one) == 0
    assert "replaced" not in capsys.readouterr().err
    assert evaluate(collection, "--run", two) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "replaced" in line]
    assert "one.txt on" in line


@pytest.mark.parametrize("measure", ["nDCG@0", "AP(rel=0)", "nDCG@-3"])
def test_measures_without_a_sense_are_a_line(collection: Path, capsys: pytest.CaptureFixture[str], measure: str) -> None:
    assert evaluate(collection, "--run", str(collection.parent / "one.txt"), "--measure", measure) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert measure in line


def test_an_out_that_is_a_file_is_refused_before_anything_is_read(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (collection.parent / "out").write_text("")
    (collection / "corpus.jsonl").unlink()
    assert evaluate(collection, "--run", str(collection.parent / "one.txt")) == 2
    assert "--out" in capsys.readouterr().err
