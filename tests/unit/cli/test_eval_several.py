"""``ance-ir eval`` over several datasets, or a benchmark: what a stranger sees, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ance_ir.cli.main import main
from ance_ir.registries import BENCHMARKS
from tests.unit.eval.test_across import collection

pytest.importorskip("pyterrier_pisa")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ANCE_IR_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("cats", "dogs"):
        collection(tmp_path, name)
    return tmp_path


def evaluate(*arguments: str) -> int:
    return main(["eval", "--system", "bm25", "--measure", "RR@10", *arguments])


def test_a_table_and_then_where_everything_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["--dataset", "cats", "--dataset", "dogs", "--report", "page.html"]
    assert evaluate(*told) == 0
    out = capsys.readouterr().out
    assert out.index("cats") < out.index("dogs") < out.index("mean") < out.index("page.html")
    assert "used again" not in out
    assert {path.name for path in (folder / "results").iterdir()} == {"cats", "dogs", "results.json"}
    assert (folder / "page.html").exists() and len(list((folder / "page-pages").iterdir())) == 2
    assert json.loads((folder / "results/cats/results.json").read_text())["settings"]["dataset"] == "cats"
    assert evaluate(*told) == 0
    assert "cats (bm25), dogs (bm25)" in capsys.readouterr().out


def test_with_another_form_the_table_stands_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--dataset", "cats", "--dataset", "dogs", "--format", "csv") == 0
    out, err = capsys.readouterr()
    assert [line.partition(",")[0] for line in out.splitlines()] == ["measure", *["RR@10"] * 5]
    assert "results.json" in err


def test_what_is_missing_is_named_at_the_end_and_the_rest_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "dogs" / "qrels.txt").rename(folder / "kept.txt")
    told = ["--dataset", "cats", "--dataset", "dogs"]
    assert evaluate(*told) == 2
    out, err = capsys.readouterr()
    assert "mean" in out
    *_, last = err.splitlines()
    assert last.startswith("ance-ir: error: not evaluated: dogs")
    assert any(line.startswith("ance-ir: warning: dogs is not evaluated") and "qrels" in line for line in err.splitlines())
    (folder / "kept.txt").rename(folder / "dogs" / "qrels.txt")
    assert evaluate(*told) == 0
    assert "cats (bm25)" in capsys.readouterr().out


def test_a_list_of_ones_own_and_a_split_for_each(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pets.toml").write_text('describes = "pets"\n[[collections]]\ndataset = "cats"\n[[collections]]\ndataset = "dogs"\n')
    assert evaluate("--benchmark", "pets.toml") == 0
    first = capsys.readouterr().out
    for name in ("queries", "qrels"):
        (folder / "cats" / f"{name}.{'tsv' if name == 'queries' else 'txt'}").rename(
            folder / "cats" / f"{name}.dev.{'tsv' if name == 'queries' else 'txt'}"
        )
    assert evaluate("--dataset", "cats", "--split", "dev", "--dataset", "dogs", "--split", "test", "--out", "other") == 0
    second = capsys.readouterr().out
    assert "cats, dev" in second
    assert first.splitlines()[2].split()[-1] == second.splitlines()[2].split()[-1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--benchmark"),
        (["--dataset", "cats", "--benchmark", "beir"], "--benchmark"),
        (["--benchmark", "biar"], "Did you mean 'beir'"),
        (["--benchmark", "none.toml"], "none.toml"),
        (["--benchmark", "beir", "--split", "dev"], "--split"),
        (["--dataset", "cats", "--split", "a", "--split", "b"], "several splits"),
        (["--dataset", "cats", "--dataset", "dogs", "--split", "a", "--split", "b", "--split", "c"], "a, b, c"),
        (["--dataset", "cats", "--dataset", "dags"], "'dags'"),
        (["--dataset", "cats", "--dataset", "cats"], "'cats'"),
        (["--dataset", "cats", "--dataset", "dogs", "--run", "x.txt"], "--run"),
        (["--dataset", "cats", "--dataset", "dogs", "--model", "x"], "ance[model=FOLDER]"),
        (["--dataset", "cats", "--dataset", "dogs", "--baseline", "x"], "'x'"),
        (["--dataset", "cats", "--dataset", "dogs", "--measure", "nonsense"], "nonsense"),
        (["--dataset", "cats", "--dataset", "dogs", "--suite", "nonsense"], "nonsense"),
    ],
)
def test_what_is_refused_is_a_line(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert evaluate(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if line.startswith("ance-ir: error: ")]
    assert told in line
    assert not list(folder.glob("results/*"))


def test_help_lists_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in BENCHMARKS:
        assert f"{name}: {BENCHMARKS.summary(name)}".replace(" ", "") in shown.replace(" ", "")
