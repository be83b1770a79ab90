"""Refreshes while training goes on: who mines, when negatives change, and how both sides end."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.files import read_json, write_json
from ance_ir.indexes import FirstP
from ance_ir.indexes.mining import AnnMiner
from ance_ir.models import DenseEncoder
from ance_ir.training import (
    AnnNegatives,
    CandidateNegatives,
    DenseObjective,
    Inferencer,
    Inferencers,
    MinedNegatives,
    NegativeSchedule,
    RandomNegatives,
    Trainer,
    TrainingQueries,
    TrainingRun,
    TrainingSettings,
    TwoStageNegatives,
    read_metrics,
)
from ance_ir.world import own_device
from tests.processes import CONTEXT, MINING, kill_in, start
from tests.tiny import encoder
from tests.training_jobs import begin_inferring_and_die, infer, train_asynchronously

Make = Callable[..., Trainer[DenseEncoder]]


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> Make:
    def made(
        source: NegativeSchedule | None = None, inferencers: Inferencers | None = None, evaluate: Any = None, **settings: Any
    ) -> Trainer[DenseEncoder]:
        told = {"steps": 12, "batch_size": 4, "learning_rate": 1e-3, "refresh_every": 4, "negatives": 2, **settings}
        return Trainer(
            DenseObjective(encoder(), queries, dataset.store(), FirstP()),
            source or AnnNegatives(queries),
            TrainingSettings(**told),
            tmp_path / "run",
            dataset={"name": "tiny"},
            miner=AnnMiner(queries, dataset.store(), FirstP(), depth=5, evaluate=evaluate),
            inferencers=inferencers,
        )

    return made


def _inferencer(dataset: Dataset, queries: TrainingQueries, folder: Path, patience: float = 60) -> Inferencer[DenseEncoder]:
    miner = AnnMiner(queries, dataset.store(), FirstP(), depth=5)
    return Inferencer(
        TrainingRun(folder), miner, lambda path: DenseEncoder.from_pretrained(path, device="cpu"), patience=patience, say=lambda _: None
    )


@pytest.fixture
def none_here(tmp_path: Path) -> Inferencers:
    return Inferencers([], tmp_path / "inferencers")


def test_a_refresh_is_logged_with_the_step_that_used_it_first(make: Make, tmp_path: Path) -> None:
    make(evaluate=lambda *_: {"RR@10": 0.25}).train()
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["staleness"] for line in lines if "loss" in line] == [0, 1, 2, 3] * 3
    assert [line["step"] for line in lines if "refresh" in line] == [0, 4, 8]
    assert [line["dev"] for line in lines if "dev" in line] == [{"step": step, "RR@10": 0.25} for step in (0, 4, 8, 12)]
    for line in lines[4], lines[8]:
        told = line["refresh"]
        assert told["waited_seconds"] > 0
        assert 0 <= told["overlap_with_top_100"] <= 1
        assert {"encode_seconds", "search_seconds", "mine_seconds", "overlap_with_previous", "mean_negative_score"} <= told.keys()
    assert "overlap_with_top_100" not in lines[0]["refresh"], "nothing was drawn before"


def test_overlap_with_the_first_of_the_ranking(
    make: Make, tmp_path: Path, queries: TrainingQueries, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ance_ir.indexes.mining.search.TOP", 6)
    store = dataset.store()
    AnnMiner(queries, store, FirstP(), depth=38).mine(encoder(), tmp_path / "probe", 0, None)
    ranking = MinedNegatives.read(tmp_path / "probe").candidates_QK
    source = CandidateNegatives(queries, [row[[0, 1, 10, 20]].astype("int64") for row in ranking], "a quarter", 4)
    make(source, evaluate=lambda *_: {"RR@10": 0.0}, negatives=4).train()
    first = read_metrics(tmp_path / "run" / "metrics.jsonl")[0]
    assert first["refresh"]["overlap_with_top_100"] == 0.5, "ranks 0 and 1 are among the first six, ranks 10 and 20 are not"


def test_negatives_that_are_not_mined_are_refreshed_for_evaluation_alone(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    make(RandomNegatives(queries), evaluate=lambda *_: {"RR@10": 0.0}).train()
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines if "dev" in line] == [0, 4, 8, 12]
    assert not any("staleness" in line for line in lines)


def test_nothing_is_mined_during_a_warm_up(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    make(TwoStageNegatives(RandomNegatives(queries), AnnNegatives(queries), 8)).train()
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines if "refresh" in line] == [8]
    assert [line["staleness"] for line in lines if "staleness" in line] == [0, 1, 2, 3]
    assert "overlap_with_top_100" in lines[8]["refresh"], "of the negatives of the warm-up"


def test_the_best_checkpoint_stays(make: Make, tmp_path: Path) -> None:
    values = iter([0.1, 0.9, 0.3, 0.2, 0.4, 0.5, 0.6])
    make(evaluate=lambda *_: {"RR@10": next(values)}, steps=24, keep_checkpoints=2).train()
    assert [step for step, _ in TrainingRun(tmp_path / "run").checkpoints()] == [4, 16, 20]


def test_negatives_that_no_checkpoint_needs_are_removed(make: Make, tmp_path: Path) -> None:
    make(steps=24, keep_checkpoints=2).train()
    left = {path.parent.name for path in (tmp_path / "run").glob("negatives/*/candidates.npy")}
    assert left == {"step-000012", "step-000016", "step-000020"}
    assert len(TrainingRun(tmp_path / "run").published()) == 6, "reports stay"


@pytest.mark.slow
def test_an_inferencer_mines_while_training_goes_on(
    make: Make, tmp_path: Path, dataset: Dataset, queries: TrainingQueries, none_here: Inferencers
) -> None:
    trainer = make(inferencers=none_here, steps=200)
    threads = [threading.Thread(target=_inferencer(dataset, queries, tmp_path / "run").work) for _ in range(2)]
    for thread in threads:
        thread.start()
    trainer.train()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "inferencers end when training ends"
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    switches = [line for line in lines if "refresh" in line]
    assert len(switches) > 2
    assert switches[0]["step"] == 0
    for line in switches:
        assert line["staleness"] == line["step"] - line["refresh"]["mined_at"] >= 0
        assert line["refresh"]["mined_at"] % 4 == 0
    first, *others = switches
    usual = float(np.median([other["refresh"]["waited_seconds"] for other in others]))  # a busy machine may delay one of them
    assert first["refresh"]["waited_seconds"] > usual, "only the first is waited for"
    assert read_json(tmp_path / "run" / "progress.json")["state"] == "ended"


def test_training_waits_for_no_inferencer_while_it_warms_up(
    make: Make, tmp_path: Path, queries: TrainingQueries, none_here: Inferencers
) -> None:
    run = TrainingRun(tmp_path / "run")
    trainer = make(TwoStageNegatives(RandomNegatives(queries), AnnNegatives(queries), 8), none_here)
    thread = threading.Thread(target=trainer.train)
    thread.start()
    until = time.monotonic() + 30
    while run.progress().get("state") != "waiting":
        assert time.monotonic() < until
        time.sleep(0.01)
    assert [line["step"] for line in read_metrics(run.folder / "metrics.jsonl")] == list(range(8))
    trainer.refresher._miner.mine(encoder(), run.negatives_folder(4), 4, None)  # type: ignore[union-attr]
    thread.join(30)
    lines = read_metrics(run.folder / "metrics.jsonl")
    assert len(lines) == 12
    assert lines[8]["staleness"] == 4


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Callable[..., Inferencers]]:
    made: list[Inferencers] = []

    def make(*scripts: str) -> Inferencers:
        made.append(Inferencers([["sh", "-c", script] for script in scripts], tmp_path / "inferencers"))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def _until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


def test_an_inferencer_that_dies_is_started_again(children: Callable[..., Inferencers], caplog: pytest.LogCaptureFixture) -> None:
    inferencers = children("cat", "cat")
    one, other = inferencers.processes
    os.kill(one, signal.SIGKILL)

    def again() -> bool:
        inferencers.check(-1, needed=True)
        return len(inferencers.processes) == 2

    _until(lambda: len(inferencers.processes) == 1)
    _until(again)
    assert other in inferencers.processes
    assert one not in inferencers.processes
    assert "an inferencer died (exit code -9" in caplog.text
    assert "it is started again" in caplog.text


def test_inferencers_that_die_again_and_again_are_given_up(
    children: Callable[..., Inferencers], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ance_ir.training.refresh.processes._WAIT", 0.01)
    inferencers = children("echo the model is gone; exit 3")

    def given_up() -> bool:
        inferencers.check(4, needed=False)
        return "it is not started again" in caplog.text

    _until(given_up)
    assert caplog.text.count("it is started again") == 3
    assert "exit code 3" in caplog.text
    with pytest.raises(TrainingError, match=r"0\.log: the model is gone"):
        inferencers.check(4, needed=True)


def test_inferencers_end_when_they_are_told_to(children: Callable[..., Inferencers], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.training.refresh.processes._PATIENCE", 0.5)
    inferencers = children("cat", "trap '' TERM; sleep 100")
    processes = inferencers.processes
    inferencers.stop()
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_inferencers_end_with_a_trainer_that_is_killed(tmp_path: Path) -> None:
    receiving, sending = CONTEXT.Pipe(duplex=False)
    start(begin_inferring_and_die, tmp_path, sending)
    process = receiving.recv()

    def gone() -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").split()[2] == "Z"

    _until(gone)


def test_an_inferencer_notices_that_the_trainer_is_silent_or_failed(
    make: Make, tmp_path: Path, dataset: Dataset, queries: TrainingQueries, none_here: Inferencers
) -> None:
    make(inferencers=none_here)
    assert read_json(tmp_path / "run" / "run.json")["environment"]["processes"] == {"trainers": 1, "inferencers": None}
    run = TrainingRun(tmp_path / "run")
    run.beat(0, "failed")  # of a run that was broken off: no news
    with pytest.raises(TrainingError, match="nothing was heard of the training for 1 seconds"):
        _inferencer(dataset, queries, tmp_path / "run", patience=1).work()
    failing = threading.Timer(0.5, lambda: write_json(run.folder / "progress.json", {"state": "failed", "step": 7, "at": 1.0}))
    failing.start()
    with pytest.raises(TrainingError, match="at step 7"):
        _inferencer(dataset, queries, tmp_path / "run", patience=20).work()


@pytest.mark.slow
def test_another_inferencer_takes_the_place_of_one_that_leads(collection: Path, tmp_path: Path) -> None:
    folder, phase = tmp_path / "run", CONTEXT.Value("i", 0)
    trainer = start(train_asynchronously, collection, folder, None, {"steps": 150})
    _until((folder / "run.json").exists)
    leader = start(infer, collection, folder, phase)
    assert kill_in(MINING, phase, leader, random.Random(0), 0)
    follower = start(infer, collection, folder, None)
    for process in (trainer, follower):
        process.join(60)
        assert process.exitcode == 0


def test_a_full_disk_names_the_file_and_leaves_the_checkpoints(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make(steps=12)
    save, left = TrainingRun.save, [1]

    def full(self: TrainingRun, *arguments: Any) -> None:
        if not left:
            soft = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, soft[1]))
            try:
                save(self, *arguments)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, soft)
        left.clear()
        save(self, *arguments)

    monkeypatch.setattr(TrainingRun, "save", full)
    said = r"step-000008 cannot be written \(.*File too large.*\); the checkpoints that are complete are intact"
    with pytest.raises(TrainingError, match=said):
        trainer.train()
    assert [step for step, _ in TrainingRun(tmp_path / "run").checkpoints()] == [4]
    assert not list((tmp_path / "run").rglob("*.partial-*"))
    monkeypatch.undo()
    make(steps=12).train()
    assert len(read_metrics(tmp_path / "run" / "metrics.jsonl")) == 12


def test_a_full_disk_while_mining_names_the_file(make: Make, tmp_path: Path) -> None:
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, soft[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            make().train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    assert str(tmp_path / "run" / "negatives" / "step-000000") in str(caught.value.filename)
    make().train()


def test_a_corrupt_checkpoint_is_named(make: Make, tmp_path: Path) -> None:
    make(steps=12).train()
    run = TrainingRun(tmp_path / "run")
    run.model_folder.rename(tmp_path / "aside")
    weights = run.checkpoint_folder(8) / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r"step-000008.*delete"):
        make(steps=12).train()
    (run.folder / "switches.json").write_text("{")
    with pytest.raises(TrainingError, match=r"switches\.json"):
        weights.parent.parent.rename(tmp_path / "damaged")
        make(steps=12).train()


def test_what_ended_the_training_is_heard_though_the_disk_is_full(
    make: Make, tmp_path: Path, children: Callable[..., Inferencers], monkeypatch: pytest.MonkeyPatch
) -> None:
    inferencers = children("cat")
    trainer = make(inferencers=inferencers)
    monkeypatch.setattr(inferencers, "start", lambda: None)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def failing(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(TrainingRun, "beat", full)
        raise TrainingError("checkpoints/step-000004 cannot be written")

    monkeypatch.setattr(TrainingRun, "open_log", failing)
    with pytest.raises(TrainingError, match="step-000004 cannot be written"):
        trainer.train()
    assert not inferencers.processes


def test_signs_of_life_while_steps_are_repeated(
    make: Make, tmp_path: Path, none_here: Inferencers, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(inferencers=none_here)
    run, beats, checks = TrainingRun(tmp_path / "run"), [], []
    trainer.refresher._miner.mine(encoder(), run.negatives_folder(0), 0, None)  # type: ignore[union-attr]
    write_json(run.folder / "switches.json", {"reached": 50, "mined_at": {"0": 0}})
    monkeypatch.setattr(TrainingRun, "beat", lambda self, step, state: beats.append(step))
    monkeypatch.setattr(Inferencers, "check", lambda self, published, needed: checks.append(needed))
    trainer.train()
    assert set(range(12)) <= set(beats)
    assert checks == [False] * 12


def test_the_best_checkpoint_is_written_where_none_was_due(make: Make, tmp_path: Path) -> None:
    values = iter([0.1, 0.9, 0.3, 0.2, 0.4, 0.5, 0.6])
    make(evaluate=lambda *_: {"RR@10": next(values)}, steps=24, checkpoint_every=6, keep_checkpoints=2).train()
    run = TrainingRun(tmp_path / "run")
    assert [step for step, _ in run.checkpoints()] == [4, 12, 18]
    again = make(evaluate=lambda *_: {"RR@10": 0.0}, steps=24, checkpoint_every=6, keep_checkpoints=2)
    again.run.model_folder.rename(tmp_path / "aside")
    again.train()
    assert [line["step"] for line in read_metrics(run.folder / "metrics.jsonl")] == list(range(25)), "the last is that of the evaluation"


@pytest.mark.slow
def test_refreshes_are_mined_again_when_all_kept_checkpoints_are_gone(make: Make, tmp_path: Path) -> None:
    make(steps=24).train()
    run = TrainingRun(tmp_path / "run")
    run.model_folder.rename(tmp_path / "aside")
    losses = [line["loss"] for line in read_metrics(run.folder / "metrics.jsonl")]
    for _, checkpoint in run.checkpoints():
        shutil.rmtree(checkpoint)
    make(steps=24).train()
    assert [line["loss"] for line in read_metrics(run.folder / "metrics.jsonl")] == losses


def test_checkpoints_are_ordered_by_number(tmp_path: Path) -> None:
    for step in (999_000, 1_000_000, 2_000):
        TrainingRun(tmp_path).checkpoint_folder(step).mkdir(parents=True)
    assert [step for step, _ in TrainingRun(tmp_path).checkpoints()] == [2_000, 999_000, 1_000_000]


def test_a_refresh_that_has_begun_is_finished_before_a_newer_one(
    make: Make, tmp_path: Path, dataset: Dataset, queries: TrainingQueries, none_here: Inferencers
) -> None:
    trainer = make(inferencers=none_here)
    run, optimiser = trainer.run, torch.optim.SGD(trainer.model.parameters())
    for step in (0, 4):
        run.save(step, trainer.model, optimiser)
    inferencer = _inferencer(dataset, queries, tmp_path / "run")
    assert inferencer._next() == 4
    run.set_task(0)
    assert inferencer._next() == 4, "nothing has been done for the other"
    run.negatives_folder(0).mkdir(parents=True)
    assert inferencer._next() == 0


def test_a_run_says_where_things_are_now(make: Make, tmp_path: Path) -> None:
    trainer = make()
    told = read_json(tmp_path / "run" / "run.json")
    assert told["environment"]["processes"] == {"trainers": 1, "inferencers": 0}
    trainer.run.claim({**told, "environment": {"place": {"dataset": "/elsewhere"}}})
    assert read_json(tmp_path / "run" / "run.json")["environment"]["place"] == {"dataset": "/elsewhere"}


@pytest.mark.parametrize(
    ("environment", "name", "expected"),
    [
        ({}, "cuda:1", "cuda:1"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, None, "cuda:1"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "cuda", "cuda:1"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "cpu", "cpu"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "cuda:0", "a GPU of its own"),
        ({"WORLD_SIZE": "2"}, "cuda", "LOCAL_RANK is not"),
    ],
)
def test_each_process_has_its_own_gpu(environment: dict[str, str], name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for variable in ("WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    if " " in expected:
        with pytest.raises(UsageError, match=expected):
            own_device(name)
    else:
        assert own_device(name) == expected
