"""Weights & Biases and MLflow hold what the log says, each step once; read back by their own libraries, where those are installed."""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ance_ir.datasets import Dataset
from ance_ir.errors import MissingDependencyError
from ance_ir.indexes import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.registries import BOARDS
from ance_ir.training import DenseObjective, RandomNegatives, Trainer, TrainingQueries, TrainingSettings, read_metrics
from ance_ir.workflows import train_on_dataset
from tests.breaking import Breaking, Interrupted
from tests.command import Run
from tests.tiny import encoder

Make = Callable[..., Trainer[DenseEncoder]]


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> Make:
    def made(board: str, source: Any = None) -> Trainer[DenseEncoder]:
        return Trainer(
            DenseObjective(encoder(), queries, dataset.store(), FirstP()),
            source or RandomNegatives(queries),
            TrainingSettings(steps=8, batch_size=4, refresh_every=3),
            tmp_path / "run",
            dataset={"name": "tiny"},
            evaluate=lambda step: {"RR@10": step / 10},
            report_to=[board],
        )

    return made


@pytest.mark.slow
def test_mlflow_has_each_step_once(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "mlruns"))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient()
    with pytest.raises(Interrupted):
        make("mlflow", Breaking(make("mlflow").objective.queries, 5)).train()
    identity = json.loads((tmp_path / "run" / "mlflow.json").read_text())["run_id"]
    assert client.get_run(identity).info.status == "FAILED"
    make("mlflow").train()
    run, lines = client.get_run(identity), read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert (run.info.status, run.data.params["settings.steps"], run.data.params["negatives.name"]) == ("FINISHED", "8", "random")
    losses = [(one.step, one.value) for one in client.get_metric_history(identity, "loss")]
    assert losses == [(line["step"], pytest.approx(line["loss"])) for line in lines]
    measured = [(one.step, one.value) for one in client.get_metric_history(identity, "dev/RR_at_10")]
    assert measured == [(line["dev"]["step"], line["dev"]["RR@10"]) for line in lines if "dev" in line] and len(measured) == 3


@pytest.mark.slow
def test_a_tracking_server_that_is_not_there(collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "file" / "mlruns"))
    encoder().save(tmp_path / "tiny")
    command = ["train", "--dataset", collection, "--model", tmp_path / "tiny", "--steps", 1, "--negatives", "random"]
    status, _, err = run(*command, "--report-to", "mlflow", "--out", tmp_path / "run")
    assert status == 2 and "MLFLOW_TRACKING_URI" in err


@pytest.mark.slow
def test_wandb_has_what_the_log_says(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with pytest.raises(Interrupted):
        make("wandb", Breaking(make("wandb").objective.queries, 5)).train()
    time.sleep(1)  # its folders are named by the second
    make("wandb").train()
    identity = json.loads((tmp_path / "run" / "wandb.json").read_text())["id"]
    found: dict[int, dict[str, Any]] = {}
    files = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{identity}.wandb"), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) == 2, "one for each time that it was begun"
    for file in files:
        found |= {step: values for step, values in _history(file)}
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert {step: values["loss"] for step, values in found.items()} == {line["step"]: pytest.approx(line["loss"]) for line in lines}
    measured = {values["dev/step"]: values["dev/RR@10"] for values in found.values() if "dev/step" in values}
    assert measured == {3: 0.3, 6: 0.6, 8: 0.8}


def _history(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Steps and values of an offline run: records of protocol buffers, in blocks as LevelDB's log has them, after 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, held = path.read_bytes(), 7, b""
    found = []
    while place + 7 <= len(content):
        if (left := 32_768 - place % 32_768) < 7:  # too short for the head of a record
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        held += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the end of one
            record, held = Record.FromString(held), b""
            if record.WhichOneof("record_type") == "history":
                values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
                found.append((record.history.step.num, values))
    return found


@pytest.mark.parametrize(("board", "extra"), [("wandb", "wandb"), ("mlflow", "mlflow"), ("tensorboard", "train")])
def test_what_is_not_installed_is_said_before_a_run_begins(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, board, None)
    settings = TrainingSettings(steps=1, batch_size=4)
    with pytest.raises(MissingDependencyError, match=rf"{board}: pip install 'ance_ir\[{extra}\]'"):
        train_on_dataset(dataset, encoder(), tmp_path / "run", settings, negatives="random", report_to=[board])
    assert not (tmp_path / "run").exists()


def test_boards_of_the_command(run: Run, collection: Path, tmp_path: Path) -> None:
    from ance_ir.cli.train import command

    def asked(*options: str) -> Any:
        return command.make_context("train", ["--dataset", "x", "--out", "y", "--steps", "1", *options]).params["report_to"]

    assert asked() == ()
    assert asked("--tensorboard") == ("tensorboard",)
    assert asked("--report-to", "wandb", "--report-to", "mlflow", "--tensorboard", "--report-to", "wandb") == (
        "wandb",
        "mlflow",
        "tensorboard",
    )
    status, _, err = run("train", "--dataset", collection, "--steps", 1, "--report-to", "aim", "--out", tmp_path / "run")
    assert status == 2 and all(name in err for name in BOARDS)
