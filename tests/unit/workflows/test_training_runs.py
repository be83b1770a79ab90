"""Runs are read whole, in every state, and named so that they can be told apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import TrainingError
from ance_ir.indexes import FirstP
from ance_ir.training import DenseObjective, RandomNegatives, Trainer, TrainingQueries, TrainingSettings
from ance_ir.workflows import read_training_runs
from tests.logged import logged_line, write_logged_run
from tests.tiny import encoder


def test_the_states_of_a_run(tmp_path: Path) -> None:
    write_logged_run(tmp_path / "a", steps=20)
    write_logged_run(tmp_path / "b", steps=20, done=7, ended=False)
    write_logged_run(tmp_path / "c", steps=20, done=0, ended=False)
    (tmp_path / "c" / "metrics.jsonl").unlink()
    ended, going, new = read_training_runs([tmp_path])
    assert [(run.ended, run.done, run.steps) for run in (ended, going, new)] == [(True, 20, 20), (False, 7, 20), (False, 0, 20)]
    assert going.age is not None and 0 <= going.age < 60
    assert new.age is None


def test_a_run_that_is_being_written_is_read_again_further_on(tmp_path: Path) -> None:
    folder = write_logged_run(tmp_path / "run", done=5, ended=False)
    with (folder / "metrics.jsonl").open("a") as log:
        text = json.dumps(logged_line(5, 40))
        log.write(text[:40])
        log.flush()
        assert read_training_runs([folder])[0].done == 5, "half a line is none"
        log.write(f"{text[40:]}\n")
        log.flush()
        assert read_training_runs([folder])[0].done == 6
    (folder / "model").mkdir()
    assert read_training_runs([folder])[0].ended


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    folder = write_logged_run(tmp_path / "run")
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    lines[9] = lines[9][:20]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    with pytest.raises(TrainingError, match=r"metrics\.jsonl, line 10: expected .*; restore the file"):
        read_training_runs([folder])
    (folder / "metrics.jsonl").write_text("\n".join(lines[:10]))
    assert read_training_runs([folder])[0].done == 9, "a last line that is being written is left out"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["p/x"], ["x"]),
        (["p/x", "p/y"], ["x", "y"]),
        (["p/x", "q/x", "q/y"], ["p/x", "q/x", "y"]),
        (["p/r/x", "q/r/x", "s/x"], ["p/r/x", "q/r/x", "s/x"]),
        (["p/x", "p/x", "p/../p/x"], ["x"]),
    ],
)
def test_names_are_as_short_as_can_be(tmp_path: Path, paths: list[str], names: list[str]) -> None:
    for path in dict.fromkeys(path for path in paths if ".." not in path):
        write_logged_run(tmp_path / path, steps=1)
    assert [run.name for run in read_training_runs(tmp_path / path for path in paths)] == names


def test_a_damaged_run_beneath_a_folder_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_logged_run(tmp_path / "runs" / "good")
    damaged = write_logged_run(tmp_path / "runs" / "damaged")
    (damaged / "run.json").write_text("{")
    assert [run.name for run in read_training_runs([tmp_path / "runs"])] == ["good"]
    assert "damaged" in caplog.text
    assert "this run is left out" in caplog.text
    with pytest.raises(TrainingError, match=r"run\.json"):
        read_training_runs([tmp_path / "runs", damaged])


def test_a_folder_of_runs_shows_those_directly_beneath(tmp_path: Path) -> None:
    for path in ("runs/b", "runs/a", "runs/deep/er"):
        write_logged_run(tmp_path / path, steps=1)
    (tmp_path / "runs" / "notes").mkdir()
    assert [run.name for run in read_training_runs([tmp_path / "runs"])] == ["a", "b"]
    assert [run.name for run in read_training_runs([tmp_path / "runs" / "b", tmp_path / "runs"])] == ["b", "a"], "once"


def test_mistakes(tmp_path: Path) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(TrainingError, match=re.escape(message)):
            read_training_runs([path])

    (tmp_path / "file").write_text("x")
    refused(tmp_path / "nowhere", "nowhere: the folder of a training run was expected, there is nothing")
    refused(tmp_path / "file", "file: the folder of a training run was expected, there is a file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "a run.json was expected, the folder holds nothing")
    index = tmp_path / "x.ance"
    index.mkdir()
    for name in ("a", "b", "c", "d"):
        (index / name).mkdir()
    refused(index, "a run.json was expected, the folder holds a, b, c, …")
    (index / "run.json").write_text("{")
    refused(index, "run.json: expected JSON")
    for other in ("[]", "{}", '{"settings": []}', '{"settings": {"steps": "many"}}'):
        (index / "run.json").write_text(other)
        refused(index, "it is no training run's")
    folder = write_logged_run(tmp_path / "run")
    for line in ("[1]", '{"loss": 1.0}'):
        (folder / "metrics.jsonl").write_text(f"{json.dumps(logged_line(0, 40))}\n{line}\n")
        refused(folder, "metrics.jsonl, line 2: expected")


def test_what_a_trainer_leaves_is_read(tmp_path: Path) -> None:
    collection = tmp_path / "collection"
    collection.mkdir()
    texts = ["the cat sleeps", "a dog runs", "the fish swims", "a king and a queen"]
    (collection / "corpus.jsonl").write_text("".join(json.dumps({"docno": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    (collection / "queries.train.tsv").write_text("q0\tcat\nq1\tdog\n")
    (collection / "qrels.train.txt").write_text("q0 0 d0 1\nq1 0 d1 1\n")
    dataset = load_dataset(collection)
    queries = TrainingQueries.load(dataset, dataset.store())
    Trainer(
        DenseObjective(encoder(), queries, dataset.store(), FirstP()),
        RandomNegatives(queries),
        TrainingSettings(steps=5, batch_size=2),
        tmp_path / "run",
        dataset={"name": "tiny"},
        evaluate=lambda step: {"RR@10": step / 10},
    ).train()
    (run,) = read_training_runs([tmp_path / "run"])
    assert (run.ended, run.done, run.steps, run.manifest["negatives"]["name"]) == (True, 5, 5, "random")
    for name in ("loss", "grad_norm", "learning_rate", "tokens", "seconds"):
        assert list(run.values(name).index) == list(range(5)), name
    assert run.values("nothing").empty
    with pytest.warns(FutureWarning, match=r"LoggedRun\.settings"):
        assert run.told == run.settings
