"""``ance-ir runs show``."""

from __future__ import annotations

from pathlib import Path

import pytest

from ance_ir.cli.main import main
from tests.logged import write_logged_run


def test_a_run_with_its_settings_and_refreshes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "show", str(write_logged_run(tmp_path / "x"))]) == 0
    summary, settings, refreshes, hint = capsys.readouterr().out.split("\n\n")
    assert summary.splitlines()[2].split()[:3] == ["x", "ance", "ended,"]
    assert "learning_rate" in settings
    assert len(refreshes.splitlines()) == 2 + 4
    assert "--out FOLDER" in hint


@pytest.mark.slow
def test_several_runs_with_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    write_logged_run(tmp_path / "runs" / "x", steps=20)
    write_logged_run(tmp_path / "runs" / "y", steps=20, done=3, ended=False)
    assert main(["runs", "show", str(tmp_path / "runs"), "--out", str(tmp_path / "page")]) == 0
    shown = capsys.readouterr().out
    assert "learning_rate" not in shown
    assert [line.split()[:2] for line in shown.splitlines()[2:4]] == [["x", "ance"], ["y", "ance"]]
    assert f"written: {tmp_path / 'page' / 'curves.png'}, {tmp_path / 'page' / 'index.html'}" in shown
    assert {path.name for path in (tmp_path / "page").iterdir()} == {"curves.png", "index.html"}


def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "show", str(tmp_path / "nowhere")]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert "nowhere: the folder of a training run was expected, there is nothing" in shown.err
    assert main(["runs", "show"]) == 2
