"""What was computed is on disk before anything else is tried with it."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from ance_ir.cli.main import main

SAVED = {"per_query.tsv", "results.json", "runs"}


@pytest.fixture
def told(tmp_path: Path) -> list[str]:
    """A command that evaluates BM25 on a collection."""
    folder = tmp_path / "collection"
    folder.mkdir()
    texts = {"d1": "the cat sleeps", "d2": "a dog runs and a bird sings"}
    corpus = "".join(json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in texts.items())
    for name, content in {"corpus.jsonl": corpus, "queries.tsv": "q1\tcat\n", "qrels.txt": "q1 0 d1 1\n"}.items():
        (folder / name).write_text(content, encoding="utf-8")
    return ["eval", "--dataset", str(folder), "--system", "bm25", "--measure", "MRR@10", "--out", str(tmp_path / "results")]


def _full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "page.html")


def test_a_report_that_cannot_be_written_costs_no_results(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ance_ir.eval.examination.write_report", _full)
    status = main([*told, "--report", str(tmp_path / "page.html")])
    out, err = capsys.readouterr()
    assert status == 2
    assert "1.0000" in out
    assert "No space left on device" in err
    assert str(tmp_path / "results") in err
    assert {path.name for path in (tmp_path / "results").iterdir()} == SAVED


def test_a_doctor_that_fails_costs_neither_results_nor_report(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ance_ir.eval.examination.diagnose", _full)
    status = main([*told, "--report", str(tmp_path / "page.html")])
    err = capsys.readouterr().err
    assert status == 0
    assert "warning" in err
    assert "No space left on device" in err
    assert {path.name for path in (tmp_path / "results").iterdir()} == SAVED
    assert (tmp_path / "page.html").exists()


def test_a_page_without_a_store_shows_docnos(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ance_ir.datasets.DirectoryDataset.store", _full)
    assert main([*told, "--report", str(tmp_path / "page.html")]) == 0
    assert "No space left on device" in capsys.readouterr().err
    assert "d1" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_results_that_cannot_be_saved_are_shown(
    told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ance_ir.eval.evaluation.write_json", _full)
    assert main(told) == 2
    assert "1.0000" in capsys.readouterr().out


def test_results_are_saved_though_nobody_reads_the_table(told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.eval.format_evaluation", _full)
    assert main(told) == 2
    assert {path.name for path in (tmp_path / "results").iterdir()} == SAVED
