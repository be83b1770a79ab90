"""``ance-ir info`` on datasets, ``convert`` and ``layouts``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ance_ir.cli.index.build import _next
from ance_ir.datasets import load_dataset
from ance_ir.registries import DATASET_LAYOUTS
from tests.command import Run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ANCE_IR_DATA", raising=False)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"docno": "d1", "title": "Cats", "text": "Cats sleep."}\n{"docno": "d2", "text": "Dogs bark."}\n')
    (folder / "queries.tsv").write_text("q1\twho sleeps\n")
    (folder / "qrels.txt").write_text("q1 0 d1 1\n")
    return folder


def test_info_says_what_a_dataset_holds(pets: Path, run: Run) -> None:
    status, out, _ = run("info", pets)
    assert status == 0
    for part in ("collection", "2, 1 of them with titles", "d1: Cats Cats sleep.", "who sleeps", "odd: 1 documents have no title"):
        assert part in out, part


def test_a_name_that_could_be_both_has_to_be_told_apart(pets: Path, run: Run) -> None:
    (pets / "config.json").write_text("{}")
    status, _, err = run("info", pets)
    assert status == 2
    assert "--as" in err
    status, out, _ = run("info", pets, "--as", "dataset")
    assert status == 0
    assert "d1" in out
    status, _, err = run("info", pets, "--as", "model")
    assert (status, "d1" in err) == (2, False)


def test_settings_of_a_model_do_not_fit_a_dataset(pets: Path, run: Run) -> None:
    status, _, err = run("info", pets, "--query-length", 8)
    assert status == 2
    assert "dataset" in err


@pytest.mark.parametrize("content", ["", "no records\n", '{"a": 1}\n', "\x00\x01"])
def test_a_file_in_no_layout_is_an_error_in_one_line(tmp_path: Path, content: str, run: Run) -> None:
    (tmp_path / "what.jsonl").write_text(content)
    status, _, err = run("info", tmp_path / "what.jsonl")
    assert status == 2
    assert err.count("\n") == 1
    assert "what.jsonl" in err


def test_convert_there_and_back(pets: Path, tmp_path: Path, run: Run) -> None:
    status, out, _ = run("convert", pets, "--format", "beir", "--out", tmp_path / "beir")
    assert status == 0
    assert "beir" in out
    assert run("convert", tmp_path / "beir", "--format", "collection", "--out", tmp_path / "again")[0] == 0
    for name in ("queries.tsv", "qrels.txt"):
        assert (tmp_path / "again" / name).read_text() == (pets / name).read_text()
    status, _, err = run("convert", pets, "--format", "nonsense", "--out", tmp_path / "x")
    assert (status, err.count("\n")) == (2, 1)
    assert "beir" in err


def test_layouts_are_listed_from_the_registry(run: Run) -> None:
    status, out, _ = run("layouts")
    assert status == 0
    assert [line.partition(":")[0] for line in out.splitlines()[::2]] == list(DATASET_LAYOUTS)
    assert [row["name"] for row in json.loads(run("layouts", "--format", "json")[1])] == list(DATASET_LAYOUTS)


def test_the_page_lists_the_layouts_as_the_command_does(run: Run) -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    assert f"```\n{run('layouts')[1]}```\n" in page, "make record PAGE=docs/data.md"


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("collection.tsv", "pid\tpassage\n1\ta cat\n", "line 1"),
        ("twice.csv", "anchor,anchor,positive\na,b,c\n", "'anchor' comes twice"),
        ("empty.csv", "docno,text\n", "no records"),
        ("empty.jsonl", "\n\n", "no records"),
    ],
)
def test_mistakes_in_files_of_records_are_named(tmp_path: Path, name: str, content: str, named: str, run: Run) -> None:
    (tmp_path / name).write_text(content)
    folder = name == "collection.tsv"
    status, out, err = run("info", tmp_path if folder else tmp_path / name)
    assert named in (out if folder else err)
    assert folder or (status, err.count("\n")) == (2, 1)


@pytest.mark.parametrize("name", ["/no/such/folder", "./nosuch", "odd.csv[txt=body]"])
def test_a_path_that_is_not_there_is_no_model(name: str, run: Run) -> None:
    status, _, err = run("info", name)
    assert status == 2
    assert "hf download" not in err
    assert "dataset" in err


def test_the_help_of_convert_lists_what_it_writes(run: Run) -> None:
    shown = run("convert", "--help")[1]
    listed = [line.split()[0] for line in shown.splitlines() if line.startswith("    ") and line.split()[0] in DATASET_LAYOUTS]
    assert listed == [name for name, layout in DATASET_LAYOUTS.items() if layout.write is not None]


def test_what_comes_after_an_index_is_what_can_be_done(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("a cat")
    assert _next(load_dataset(folder), "texts", Path("x.ance")).startswith("ance-ir search x.ance ")
    (folder / "a.txt").unlink()
    (folder / "collection.tsv").write_text("7\ta cat\n")
    (folder / "queries.dev.tsv").write_text("1\tcat\n")
    assert _next(load_dataset(folder), "texts", Path("x.ance")).startswith("ance-ir search x.ance ")
    (folder / "qrels.dev.tsv").write_text("1\t0\t7\t1\n")
    assert _next(load_dataset(folder), "texts", Path("x.ance")).startswith("ance-ir eval --dataset texts --split dev ")
