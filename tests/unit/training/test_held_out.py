"""``train:N``: training queries that are held out, to be evaluated on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import UsageError
from ance_ir.eval.rankings import same_text
from ance_ir.training import TrainingQueries, TrainingSettings
from ance_ir.workflows import train_on_dataset
from ance_ir.workflows.dev import DevQueries
from ance_ir.workflows.sets import TrainingSets
from tests.command import Run
from tests.tiny import encoder

SETTINGS = TrainingSettings(steps=4, batch_size=4, refresh_every=2)


def held_out(dataset: Dataset, split: str) -> DevQueries:
    found = DevQueries.of(dataset, split, None)
    assert found is not None
    return found


def texts(queries: TrainingQueries) -> set[str]:
    return {same_text(text) for text in queries.texts}


def test_what_is_held_out_is_not_trained_on(dataset: Dataset) -> None:
    sets = TrainingSets.open([dataset], ["train"])
    different = texts(sets.queries)
    assert len(different) < len(sets.queries), "several queries have one text"
    dev = held_out(dataset, "train:3")
    queries, qrels = dev.judged()
    chosen = {same_text(text) for text in queries["query"]}
    assert len(queries) == len(chosen) == 3
    assert set(queries["qid"]) == set(qrels["qid"]) == set(qrels["qid"][qrels["label"] > 0]), "means are over these queries alone"
    left = dev.left(sets).queries
    assert texts(left) == different - chosen
    rows = {qid: row for row, qid in enumerate(sets.queries.qids)}
    for row, qid in enumerate(left.qids):
        assert left.positives[row].tolist() == sets.queries.positives[rows[qid]].tolist()
        assert left.excluded[row].tolist() == sets.queries.excluded[rows[qid]].tolist()


def test_what_is_held_out_without_being_evaluated_has_a_number(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'train'.*train:200"):
        train_on_dataset(dataset, encoder(), tmp_path, SETTINGS, negatives="random", held_out="train")


def test_more_are_held_out_in_addition(dataset: Dataset) -> None:
    """The choice is by hash, so that it depends neither on the order of the queries nor on how many are chosen."""
    few, more = (set(held_out(dataset, f"train:{count}").judged()[0]["query"]) for count in (2, 5))
    assert few < more


def test_the_order_of_the_queries_makes_no_difference(collection: Path, tmp_path: Path) -> None:
    chosen = set(held_out(load_dataset(collection), "train:4").judged()[0]["query"])
    shutil.copytree(collection, tmp_path / "turned")
    path = tmp_path / "turned" / "queries.train.tsv"
    path.write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")
    assert set(held_out(load_dataset(tmp_path / "turned"), "train:4").judged()[0]["query"]) == chosen


def test_all_training_sets_lose_what_is_held_out(dataset: Dataset) -> None:
    sets = TrainingSets.open([dataset, dataset], ["train", "train"], [2, 1])
    left = held_out(dataset, "train:3").left(sets)
    assert len(left.queries) == 2 * len(left.sets[0].queries) < len(sets.queries)
    assert [one.weight for one in left.queries.sets] == [2, 1]


def test_a_run_that_is_evaluated_on_them(dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = list[str]()
    train_on_dataset(dataset, encoder(), tmp_path / "run", SETTINGS, negatives="random", dev_split="train:3", say=said.append)
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (manifest["dataset"]["split"], manifest["dataset"]["dev_split"]) == ("train", "train:3")
    assert any("train:3 RR@10" in line for line in said)
    assert "are among those of split 'train" not in caplog.text
    again = DevQueries.of_run(manifest, dataset, None)
    assert again is not None and again.held_out == 3, "so do its inferencers"


def test_queries_that_are_left_out_without_being_evaluated(dataset: Dataset, tmp_path: Path) -> None:
    train_on_dataset(dataset, encoder(), tmp_path / "run", SETTINGS, negatives="random", held_out="train:3")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["dataset"].items() >= {"held_out": "train:3", "dev_split": None}.items()
    assert not any("dev" in line for line in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()))


@pytest.mark.slow
def test_inferencers_mine_for_the_same_queries(collection: Path, tmp_path: Path, run: Run) -> None:
    encoder().save(tmp_path / "tiny")
    command = ["train", "--dataset", collection, "--model", tmp_path / "tiny", "--steps", 6, "--batch-size", 4, "--refresh-every", 3]
    status, _, err = run(*command, "--dev-split", "train:3", "--inferencers", 1, "--out", tmp_path / "run")
    assert status == 0, err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"refresh", "dev"} <= lines[0].keys()
    left = held_out(load_dataset(collection), "train:3").left(TrainingSets.open([load_dataset(collection)], ["train"])).queries
    mined = list((tmp_path / "run").glob("negatives/*/candidates.npy"))
    assert mined and all(len(np.load(path)) == len(left) for path in mined)


@pytest.mark.parametrize("split", ["train:0", "train:1000"])
def test_as_many_as_there_are_cannot_be_held_out(dataset: Dataset, tmp_path: Path, split: str, collection: Path, run: Run) -> None:
    with pytest.raises(UsageError, match=split):
        train_on_dataset(dataset, encoder(), tmp_path / "run", SETTINGS, negatives="random", dev_split=split)
    encoder().save(tmp_path / "tiny")
    command = [
        "train",
        "--dataset",
        collection,
        "--model",
        tmp_path / "tiny",
        "--steps",
        1,
        "--dev-split",
        split,
        "--out",
        tmp_path / "run",
    ]
    status, _, err = run(*command)
    assert status == 2 and split in err
    assert not (tmp_path / "run").exists()


def test_a_split_of_such_a_name_is_meant_first(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(dataset), "has_split", lambda self, split: split == "v2:3")
    assert held_out(dataset, "v2:3").held_out is None
    assert held_out(dataset, "v1:3").held_out == 3
