"""Queries to evaluate on that are of another dataset than the training queries."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, TrainingError, UsageError
from ance_ir.training import TrainingSettings
from ance_ir.workflows import run_inferencer, train_on_dataset, train_reranker_on_dataset
from ance_ir.workflows.dev import DevQueries, described
from ance_ir.workflows.inferencer import inferencer_processes
from tests.catalogue import open_catalogue, write_home
from tests.tiny import cross_encoder, encoder

SETTINGS = TrainingSettings(steps=4, batch_size=4, refresh_every=2)


@pytest.fixture
def asked(collection: Path, tmp_path: Path) -> Dataset:
    """The same documents with other queries: two of the training's and one of their own, all answered by ``d1``."""
    folder = tmp_path / "asked"
    folder.mkdir()
    shutil.copy(collection / "corpus.jsonl", folder)
    queries = (collection / "queries.train.tsv").read_text().splitlines()[:6:3]  # three in sequence have one text
    (folder / "queries.dev.tsv").write_text("\n".join([*(f"a{query}" for query in queries), "a9\tking"]) + "\n")
    (folder / "qrels.dev.txt").write_text("aq0 0 d1 1\naq3 0 d1 1\na9 0 d1 1\n")
    return load_dataset(folder)


def _manifest(run: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((run / "run.json").read_text())
    return manifest


def test_the_split_of_another_dataset(collection: Path, dataset: Dataset, asked: Dataset) -> None:
    assert DevQueries.of(dataset, None, None) is None
    own = DevQueries.of(dataset, "test", None)
    assert own is not None and (own.dataset, own.split, own.name, own.source) == (dataset, "test", "test", None)
    other = DevQueries.of(dataset, None, asked)
    assert other is not None and (other.dataset, other.split, other.name) == (asked, "dev", "asked, dev")
    same = DevQueries.of(dataset, None, load_dataset(collection))
    assert same is not None and same.split == "test", "there is no dev"
    assert described(own) == {"dev_split": "test", "dev_dataset": None}
    assert described(None) == {"dev_split": None, "dev_dataset": None}


def test_a_dataset_without_a_split_of_these_names_needs_one(dataset: Dataset, asked: Dataset) -> None:
    folder = Path(asked.source)
    for name in ("queries.dev.tsv", "qrels.dev.txt"):
        (folder / name).rename(folder / name.replace("dev", "odd"))
    with pytest.raises(UsageError, match=r"asked.* odd"):
        DevQueries.of(dataset, None, load_dataset(folder))
    assert DevQueries.of(dataset, "odd", load_dataset(folder)) is not None


def test_other_documents_are_refused_before_there_is_a_run(dataset: Dataset, asked: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"asked.*'no'"):
        train_on_dataset(dataset, encoder(), tmp_path / "run", SETTINGS, dev_dataset=asked, dev_split="no")
    with (Path(asked.source) / "corpus.jsonl").open("a") as corpus:
        corpus.write('{"docno": "new", "text": "a fish"}\n')
    changed = load_dataset(asked.source)
    with pytest.raises(UsageError, match=r"asked has others than collection\d"):
        train_on_dataset(dataset, encoder(), tmp_path / "run", SETTINGS, dev_dataset=changed)
    with pytest.raises(UsageError, match="asked has others"):
        train_reranker_on_dataset(dataset, cross_encoder(), tmp_path / "run", SETTINGS, dev_dataset=changed, negatives="random")
    assert not (tmp_path / "run").exists()


def test_training_is_evaluated_on_another_dataset(
    dataset: Dataset, asked: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, said = tmp_path / "run", list[str]()
    with caplog.at_level(logging.WARNING):
        train_on_dataset(dataset, encoder(), run, SETTINGS, dev_dataset=asked, say=said.append)
    assert "2 of 24 training queries are among those of split 'asked, dev'" in caplog.text
    assert "asked, dev RR@10" in said[0]
    manifest = _manifest(run)
    assert manifest["dataset"]["dev_split"] == "dev"
    assert manifest["dataset"]["dev_dataset"] == {"name": "asked", "fingerprint": asked.fingerprint}
    assert manifest["environment"]["place"]["dev_dataset"] == asked.source
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["dev"]["step"] for line in logged if "dev" in line] == [0, 2, 4]
    with pytest.raises(TrainingError, match="dev_dataset"):
        train_on_dataset(dataset, encoder(), run, SETTINGS, dev_split="test")
    train_on_dataset(dataset, encoder(), run, SETTINGS, dev_dataset=asked)  # which is complete


def test_a_reranker_is_evaluated_on_another_dataset(dataset: Dataset, asked: Dataset, tmp_path: Path) -> None:
    run, said = tmp_path / "run", list[str]()
    settings = TrainingSettings(steps=2, batch_size=4)
    train_reranker_on_dataset(dataset, cross_encoder(), run, settings, dev_dataset=asked, negatives="random", dev_depth=3, say=said.append)
    assert "asked, dev RR@10" in said[-1]
    assert _manifest(run)["dataset"]["dev_dataset"]["fingerprint"] == asked.fingerprint


def test_a_runs_inferencers_find_the_queries(collection: Path, dataset: Dataset, asked: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_on_dataset(dataset, encoder(), run, SETTINGS, dev_dataset=asked)
    manifest = _manifest(run)
    found = DevQueries.of_run(manifest, dataset, None)
    assert found is not None and (found.dataset.fingerprint, found.split) == (asked.fingerprint, "dev")
    moved = tmp_path / "moved"
    Path(asked.source).rename(moved)
    with pytest.raises(DatasetNotFoundError):
        DevQueries.of_run(manifest, dataset, None)
    elsewhere = DevQueries.of_run(manifest, dataset, str(moved))
    assert elsewhere is not None and elsewhere.dataset.source == str(moved)
    (moved / "qrels.dev.txt").write_text("a9 0 d1 1\n")
    with pytest.raises(TrainingError, match=r"asked.*moved"):
        DevQueries.of_run(manifest, dataset, str(moved))
    with pytest.raises(TrainingError, match="no negatives from inferencers"):
        run_inferencer(run, dataset=str(collection), dev_dataset=str(moved), say=print)


def test_inferencers_that_a_trainer_starts_are_given_the_dataset(dataset: Dataset, asked: Dataset, tmp_path: Path) -> None:
    for dev, given in ((DevQueries.of(dataset, None, asked), True), (DevQueries.of(dataset, "test", None), False), (None, False)):
        command = list(inferencer_processes(tmp_path, [dataset.source], dev, [None])._all[0].command)
        assert (command[-2:] == ["--dev-dataset", asked.source]) == given
        assert ("--dev-dataset" in command) == given


def test_msmarco_is_trained_on_train_and_watched_on_dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    write_home(tmp_path / "home")
    open_catalogue(tmp_path / "home", monkeypatch)
    marco = load_dataset("msmarco-passage")
    for negatives, steps in (("ance", 4), ("dataset", 2)):
        settings = TrainingSettings(steps=steps, batch_size=4, refresh_every=2)
        train_on_dataset(marco, encoder(), tmp_path / negatives, settings, negatives=negatives, depth=5, dev_split="dev/small")
        logged = [json.loads(line) for line in (tmp_path / negatives / "metrics.jsonl").read_text().splitlines()]
        assert next(line["dev"]["step"] for line in logged if "dev" in line) == 0
    dev = DevQueries.of(load_dataset("msmarco-passage/train"), None, load_dataset("msmarco-passage/dev/small"))
    assert dev is not None and dev.judged()[0]["qid"].tolist() == ["100"]
    with pytest.raises(UsageError, match="nq/dev has others than msmarco-passage"):
        DevQueries.of(marco, None, load_dataset("nq/dev"))
    questions = DevQueries.of(load_dataset("nq/train"), None, load_dataset("nq/dev"))
    assert questions is not None and questions.dataset.queries_name(questions.split) == "dpr-w100/natural-questions/dev"


def test_an_ids_training_queries_are_no_test_queries_of_another_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    write_home(tmp_path / "home")
    open_catalogue(tmp_path / "home", monkeypatch)
    one, other = load_dataset("nq/train"), load_dataset("nq/dev")  # they share a question
    settings = TrainingSettings(steps=1, batch_size=2)
    with caplog.at_level(logging.WARNING):
        train_on_dataset([one, other], encoder(), tmp_path / "run", settings, split=["train", "dev"], negatives="random")
    assert "are among those of split" not in caplog.text
