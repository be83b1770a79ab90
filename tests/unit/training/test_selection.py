"""Which model a run leaves, and when it ends early: by what was evaluated on dev queries."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ance_ir.datasets import Dataset
from ance_ir.errors import UsageError
from ance_ir.indexes import FirstP
from ance_ir.indexes.mining import AnnMiner
from ance_ir.models import DenseEncoder
from ance_ir.training import (
    AnnNegatives,
    DenseObjective,
    Inferencer,
    Inferencers,
    RandomNegatives,
    RerankerObjective,
    Trainer,
    TrainingQueries,
    TrainingRun,
    TrainingSettings,
    read_metrics,
)
from ance_ir.workflows import train_on_dataset
from ance_ir.workflows.runs.logged import read_training_runs
from tests.breaking import timeless_lines
from tests.command import Run
from tests.tiny import cross_encoder, encoder

pytestmark = pytest.mark.slow

Make = Callable[..., Trainer[DenseEncoder]]


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> Make:
    def made(values: Iterator[float], inferencers: Inferencers | None = None, **settings: Any) -> Trainer[DenseEncoder]:
        told = {"steps": 12, "batch_size": 4, "learning_rate": 1e-2, "refresh_every": 4, "keep_checkpoints": 1, **settings}
        return Trainer(
            DenseObjective(encoder(), queries, dataset.store(), FirstP()),
            AnnNegatives(queries),
            TrainingSettings(**told),
            tmp_path / "run",
            dataset={"name": "tiny", "dev_split": "dev"},
            miner=_miner(dataset, queries, values),
            inferencers=inferencers,
        )

    return made


def _miner(dataset: Dataset, queries: TrainingQueries, values: Iterator[float]) -> AnnMiner:
    return AnnMiner(queries, dataset.store(), FirstP(), depth=5, evaluate=lambda *_: {"RR@10": next(values)})


def _saved(run: Path) -> dict[str, Any]:
    saved: dict[str, Any] = json.loads((run / "run.json").read_text())["saved"]
    return saved


def _dev(run: Path) -> list[int]:
    return [line["dev"]["step"] for line in read_metrics(run / "metrics.jsonl") if "dev" in line]


def _same(model: Any, folder: Path) -> bool:
    other = type(model).from_pretrained(folder, device="cpu").state_dict()
    return all(torch.equal(weights, other[name]) for name, weights in model.state_dict().items())


@pytest.mark.parametrize(
    ("values", "select", "saved", "evaluated"),
    [
        ([0.1, 0.9, 0.3, 0.4], "best", 4, [0, 4, 8, 12]),
        ([0.1, 0.2, 0.3, 0.4], "best", 12, [0, 4, 8, 12]),
        ([0.5, 0.2, 0.5, 0.5], "best", 0, [0, 4, 8, 12]),
        ([0.1, 0.9, 0.3], "last", 12, [0, 4, 8]),
    ],
)
def test_the_model_that_a_run_leaves(
    make: Make, tmp_path: Path, values: list[float], select: str, saved: int, evaluated: list[int]
) -> None:
    run = tmp_path / "run"
    trained = make(iter(values), select=select).train()
    assert _dev(run) == evaluated
    assert _saved(run)["step"] == saved
    assert _same(trained, run / "model")
    if saved < 12:
        assert _same(trained, run / "checkpoints" / f"step-{saved:06d}" / "model")
    described = json.loads((run / "model" / "training.json").read_text())
    assert described["steps"] == saved
    assert [one["step"] for one in described["dev"]] == evaluated, "the whole trajectory"
    assert ("after" in (run / "model" / "README.md").read_text().split("---")[1]) == (select == "last")
    assert [path.name for path in run.glob("negatives/last/*")] == ["dev.json"] * (select == "best"), "no index stays"
    again = make(iter([])).train() if select == "best" else make(iter([]), select="last").train()
    assert _same(again, run / "model"), "a run that has ended gives what it left"


def test_a_run_that_gains_nothing_more_ends(make: Make, tmp_path: Path) -> None:
    run = tmp_path / "run"
    make(iter([0.5, 0.6, 0.6, 0.4]), steps=40, stop_after=2).train()
    lines = read_metrics(run / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == list(range(12))
    assert _dev(run) == [0, 4, 8, 12]
    assert _saved(run) == {"step": 4, "best_on_dev": 4}
    assert any("12 of 40" in notice for notice in json.loads((run / "run.json").read_text())["notices"])
    (logged,) = read_training_runs([run])
    assert (logged.state, logged.done) == ("ended, 12 of 40 steps", 12)
    before = timeless_lines(run)
    shutil.rmtree(run / "model")  # as if it had been killed before it was written
    make(iter([]), steps=40, stop_after=2).train()
    assert timeless_lines(run) == before
    assert _saved(run)["step"] == 4


def test_a_resumed_run_does_not_count_evaluations_that_are_still_to_come(make: Make, tmp_path: Path) -> None:
    run = tmp_path / "run"
    make(iter([0.1, 0.9, 0.3, 0.2]), stop_after=2).train()
    before = timeless_lines(run)
    assert [line["step"] for line in read_metrics(run / "metrics.jsonl") if "loss" in line] == list(range(12))
    shutil.rmtree(run / "model")  # killed before it was written, and resumed after step 8
    make(iter([]), stop_after=2).train()
    assert timeless_lines(run) == before
    assert not any("ended after" in notice for notice in json.loads((run / "run.json").read_text())["notices"])


def test_where_the_best_checkpoint_is_gone_the_last_model_is_saved(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = tmp_path / "run"
    make(iter([0.1, 0.9, 0.3, 0.4])).train()
    for gone in ("model", "checkpoints/step-000004"):
        shutil.rmtree(run / gone)
    trained = make(iter([])).train()
    assert _saved(run)["step"] == 12
    assert _same(trained, run / "model")
    assert "after step 4, is gone" in caplog.text


@pytest.mark.parametrize("gain", [1, 3])
def test_a_run_that_gains_does_not_end(make: Make, tmp_path: Path, gain: int) -> None:
    values = iter([0.1, *([0.1] * (gain - 1)), *[0.2 + 0.1 * place for place in range(20)]])
    make(values, steps=24, stop_after=gain).train()
    assert len([line for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line]) == 24


def test_the_last_model_is_evaluated_where_inferencers_mine(
    make: Make, dataset: Dataset, queries: TrainingQueries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, states = tmp_path / "run", []
    measure = AnnMiner.measure

    def watched(self: AnnMiner, *arguments: Any, **options: Any) -> Any:
        states.append(TrainingRun(run).progress()["state"])
        return measure(self, *arguments, **options)

    monkeypatch.setattr(AnnMiner, "measure", watched)
    trainer = make(iter([5.0]), Inferencers([], tmp_path / "inferencers"), steps=40)
    miner = _miner(dataset, queries, iter([0.1] * 20))
    inferencer = Inferencer(
        TrainingRun(run), miner, lambda path: DenseEncoder.from_pretrained(path, device="cpu"), patience=60, say=lambda _: None
    )
    thread = threading.Thread(target=inferencer.work)
    thread.start()
    trained = trainer.train()
    thread.join(60)
    assert states == ["ended"], "or inferencers would wait for a sign of life"
    assert _dev(run)[-1] == 40
    assert _saved(run) == {"step": 40, "best_on_dev": 40}
    assert _same(trained, run / "model")


def test_a_refresh_leaves_the_last_evaluation_alone(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    """An inferencer may end a refresh, and tidy up, while the trainer evaluates the last model."""
    miner, folder = _miner(dataset, queries, iter([0.1, 0.2])), tmp_path / "negatives"
    assert miner.measure(encoder(), folder / "last", leads=True) == {"RR@10": 0.1}
    miner.mine(encoder(), folder / "step-000004", 4, None)
    assert (folder / "last" / "index.ance").exists()


def test_a_reranker_is_selected_likewise(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    values = [0.1, 0.5, 0.3, 0.5, 0.9]
    trained = Trainer(
        RerankerObjective(cross_encoder(), queries, dataset.store()),
        RandomNegatives(queries),
        TrainingSettings(steps=5, batch_size=4, checkpoint_every=1, keep_checkpoints=1, stop_after=2),
        tmp_path,
        dataset={"name": "tiny"},
        evaluate=lambda step: {"RR@10": values[step - 1]},
    ).train()
    assert _dev(tmp_path) == [1, 2, 3, 4]
    assert _saved(tmp_path) == {"step": 2, "best_on_dev": 2}
    assert _same(trained, tmp_path / "checkpoints" / "step-000002" / "model")


def test_runs_from_before_there_was_a_choice_are_resumed() -> None:
    assert not {"select", "stop_after"} & TrainingSettings(steps=1).manifest.keys()
    assert TrainingSettings(steps=1, select="last", stop_after=2).manifest.items() >= {"select": "last", "stop_after": 2}.items()


@pytest.mark.parametrize("wrong", [{"select": "first"}, {"stop_after": 0}])
def test_what_cannot_be_selected(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TrainingSettings(steps=1, **wrong)


def test_a_run_without_dev_queries_cannot_stop_for_lack_of_gain(dataset: Dataset, collection: Path, tmp_path: Path, run: Run) -> None:
    settings = TrainingSettings(steps=2, batch_size=4, stop_after=1)
    with pytest.raises(UsageError, match=r"stop_after 1.*dev_split"):
        train_on_dataset(dataset, encoder(), tmp_path / "run", settings, negatives="random")
    encoder().save(tmp_path / "tiny")
    command = ["train", "--dataset", collection, "--model", tmp_path / "tiny", "--steps", 2, "--batch-size", 4, "--negatives", "random"]
    status, _, err = run(*command, "--stop-after", 1, "--out", tmp_path / "run")
    assert status == 2 and "dev" in err and not (tmp_path / "run").exists()
    status, _, err = run(*command, "--stop-after", 1, "--dev-split", "test", "--select", "last", "--out", tmp_path / "run")
    assert status == 0, err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"].items() >= {"select": "last", "stop_after": 1}.items()
