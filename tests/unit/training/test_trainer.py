"""The loop: it learns, it resumes exactly, it fails clearly."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset
from ance_ir.errors import DeviceMemoryError, TrainingError, UsageError
from ance_ir.files import atomic_folder
from ance_ir.indexes import FirstP, MaxP
from ance_ir.indexes.mining import AnnMiner
from ance_ir.models import DenseEncoder
from ance_ir.training import (
    AnnNegatives,
    DenseObjective,
    InBatchNegatives,
    NegativeSource,
    RandomNegatives,
    Trainer,
    TrainingQueries,
    TrainingSettings,
    read_metrics,
)
from tests.breaking import Breaking, Interrupted, timeless_lines
from tests.tiny import encoder

Make = Callable[..., Trainer[DenseEncoder]]


class BreakingAnn(AnnNegatives):
    """ANN negatives that fail at a given draw."""

    left = 10**9

    def draw(self, queries: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        self.left -= 1
        if self.left < 0:
            raise Interrupted
        return super().draw(queries, count, generator)


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries) -> Make:
    def made(
        folder: Path, source: NegativeSource | None = None, model: DenseEncoder | None = None, depth: int = 5, **settings: Any
    ) -> Trainer[DenseEncoder]:
        told = {"steps": 12, "batch_size": 4, "learning_rate": 1e-3, "refresh_every": 4, "negatives": 2, **settings}
        return Trainer(
            DenseObjective(model or encoder(), queries, dataset.store(), FirstP()),
            source or RandomNegatives(queries),
            TrainingSettings(**told),
            folder,
            dataset={"name": "tiny"},
            miner=AnnMiner(queries, dataset.store(), FirstP(), depth=depth) if source is not None and source.mines else None,
        )

    return made


def _equal(one: DenseEncoder, other: DenseEncoder) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_the_loss_falls(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "run", steps=60, dropout=False).train()
    losses = [line["loss"] for line in timeless_lines(tmp_path / "run")]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_a_step_that_does_not_fit_names_what_takes_less(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*arguments: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch.optim.AdamW, "step", too_much)  # the first of which makes its state
    with pytest.raises(DeviceMemoryError, match=r"2\.00 GiB.*--batch-size"):
        make(tmp_path / "run").train()


def test_what_is_logged(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "run", clip=1e-3, accumulation=2).train()
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(12))
    assert not any("staleness" in line or "refresh" in line for line in lines), "nothing was mined"
    assert {line["pairs"] for line in lines} == {8}
    assert min(line["grad_norm"] for line in lines) > 1e-2, "the norm is taken before clipping"
    assert all(line["tokens"] > 0 and line["learning_rate"] > 0 for line in lines)


@pytest.mark.parametrize("broken_at", [1, 4, 6, 11])
@pytest.mark.parametrize("dropout", [True, False])
def test_a_run_that_was_broken_off_ends_the_same(
    make: Make, tmp_path: Path, queries: TrainingQueries, broken_at: int, dropout: bool
) -> None:
    unbroken = make(tmp_path / "a", dropout=dropout).train()
    with pytest.raises(Interrupted):
        make(tmp_path / "b", Breaking(queries, broken_at), dropout=dropout).train()
    resumed = make(tmp_path / "b", dropout=dropout).train()
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    assert _equal(unbroken, resumed)


@pytest.mark.parametrize("checkpoint_every", [4, 3])
@pytest.mark.parametrize("broken_at", [2, 5, 8])
def test_ann_negatives_resume_exactly(make: Make, tmp_path: Path, queries: TrainingQueries, broken_at: int, checkpoint_every: int) -> None:
    def source() -> BreakingAnn:
        return BreakingAnn(queries)

    unbroken = make(tmp_path / "a", source(), checkpoint_every=checkpoint_every).train()
    breaking = source()
    breaking.left = broken_at
    with pytest.raises(Interrupted):
        make(tmp_path / "b", breaking, checkpoint_every=checkpoint_every).train()
    resumed = make(tmp_path / "b", source(), checkpoint_every=checkpoint_every).train()
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    assert _equal(unbroken, resumed)


def test_dropout_follows_the_seed_and_leaves_the_global_generator_alone(make: Make, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    make(tmp_path / "a").train()
    assert torch.equal(torch.rand(1), expected)
    make(tmp_path / "b").train()
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    make(tmp_path / "c", seed=1).train()
    assert timeless_lines(tmp_path / "a") != timeless_lines(tmp_path / "c")


def test_a_finished_run_is_opened_not_repeated(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    trained = make(tmp_path / "run").train()
    again = make(tmp_path / "run", Breaking(queries, 0)).train()
    assert _equal(trained, again)
    opened = DenseEncoder.from_pretrained(tmp_path / "run", device="cpu")
    assert opened.fingerprint() == trained.fingerprint()


def test_only_the_last_checkpoints_stay(make: Make, tmp_path: Path) -> None:
    trainer = make(tmp_path / "run", checkpoint_every=2, keep_checkpoints=2)
    trainer.train()
    assert [step for step, _ in trainer.run.checkpoints()] == [8, 10]


def test_a_folder_with_another_run_is_refused(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"settings\.batch_size was 4, is 5"):
        make(tmp_path / "run", batch_size=5)
    with pytest.raises(TrainingError, match=r"model\.fingerprint was .*another version"):
        make(tmp_path / "run", model=encoder(seed=1))


def test_a_folder_with_something_else_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(TrainingError, match=r"no training run, but holds thesis\.tex"):
        make(tmp_path)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    with pytest.raises(Interrupted):
        make(tmp_path / "run", Breaking(queries, 6)).train()
    trainer = make(tmp_path / "run")
    load = trainer.run.load

    def poisoned(model: DenseEncoder, optimiser: torch.optim.Optimizer) -> int:
        done = load(model, optimiser)
        next(model.parameters()).data.fill_(float("nan"))
        return done

    trainer.run.load = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="the loss is nan at step 4"):
        trainer.train()
    assert [step for step, _ in trainer.run.checkpoints()] == [4]
    make(tmp_path / "run").train()


def test_a_damaged_checkpoint_is_named(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    with pytest.raises(Interrupted):
        make(tmp_path / "run", Breaking(queries, 6)).train()
    path = tmp_path / "run" / "checkpoints" / "step-000004" / "optimiser.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match=r"step-000004/optimiser\.safetensors"):
        make(tmp_path / "run").train()
    shutil.rmtree(path.parent)
    make(tmp_path / "run").train()


def test_leftovers_of_a_crash_are_removed(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "run")
    dead = subprocess.Popen(["true"])
    dead.wait()
    with atomic_folder(tmp_path / "run" / "checkpoints" / "step-000004", "x") as alive:
        gone = alive.with_name(alive.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
        shutil.copytree(alive, gone)
        make(tmp_path / "run")
        assert alive.exists(), "another process's unfinished work stays"
        assert not gone.exists()


def test_a_line_that_a_crash_cut_off_is_dropped(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    with pytest.raises(Interrupted):
        make(tmp_path / "run", Breaking(queries, 6)).train()
    with (tmp_path / "run" / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 6, "lo')
    make(tmp_path / "run").train()
    assert [line["step"] for line in timeless_lines(tmp_path / "run")] == list(range(12))
    for text in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(text)


def test_a_gradient_that_is_no_number_ends_the_run_before_the_weights_change(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(tmp_path / "run")
    before = trainer.model.fingerprint()
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(float("inf")))
    with pytest.raises(TrainingError, match="the gradient's norm is inf at step 0"):
        trainer.train()
    assert trainer.model.fingerprint() == before


def test_two_processes_cannot_train_in_one_folder(make: Make, tmp_path: Path) -> None:
    trainer = make(tmp_path / "run")
    with make(tmp_path / "run").run.locked(), pytest.raises(TrainingError, match="another process is training there"):
        trainer.train()
    trainer.train()


def test_a_scheme_that_the_model_cannot_take_leaves_the_folder_free(make: Make, tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="more than the 64 that the model takes"):
        Trainer(
            DenseObjective(encoder(), TrainingQueries.load(dataset, dataset.store()), dataset.store(), MaxP(500, 2)),
            RandomNegatives(TrainingQueries.load(dataset, dataset.store())),
            TrainingSettings(steps=1),
            tmp_path / "run",
            dataset={"name": "tiny"},
        )
    assert not (tmp_path / "run").exists()


def test_another_depth_is_another_run(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    make(tmp_path / "run", AnnNegatives(queries))
    with pytest.raises(TrainingError, match=r"refresh\.depth was 5, is 6"):
        make(tmp_path / "run", AnnNegatives(queries), depth=6)
    with pytest.raises(TrainingError, match=r"negatives\.draw was 'uniform', is 'top'"):
        make(tmp_path / "run", AnnNegatives(queries, draw="top"))


def test_mined_negatives_that_are_gone_are_missed(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    breaking = BreakingAnn(queries)
    breaking.left = 7
    with pytest.raises(Interrupted):
        make(tmp_path / "run", breaking, checkpoint_every=3).train()
    shutil.rmtree(tmp_path / "run" / "negatives" / "step-000004")
    with pytest.raises(TrainingError, match=r"step-000004.*delete"):
        make(tmp_path / "run", AnnNegatives(queries), checkpoint_every=3).train()


def test_the_trained_model_names_its_folder(make: Make, tmp_path: Path) -> None:
    assert make(tmp_path / "run").train().name == str(tmp_path / "run" / "model")
    assert make(tmp_path / "run").train().name == str(tmp_path / "run" / "model")


def test_a_converted_encoder_is_not_trained(queries: TrainingQueries, dataset: Dataset) -> None:
    model = encoder().at_precision("bfloat16")
    with pytest.raises(UsageError, match=r"bfloat16.*precision="):
        DenseObjective(model, queries, dataset.store(), FirstP())


@pytest.mark.parametrize(
    ("in_batch", "batch_size", "said"), [("none", 4, "at least 1 negative is to be drawn"), ("all", 1, "holds no negatives")]
)
def test_a_run_that_would_learn_nothing_is_refused(
    make: Make, tmp_path: Path, queries: TrainingQueries, in_batch: Any, batch_size: int, said: str
) -> None:
    source: Any = RandomNegatives(queries) if in_batch == "none" else InBatchNegatives(in_batch)
    with pytest.raises(UsageError, match=said):
        make(tmp_path / "run", source, negatives=0, batch_size=batch_size)
    assert not (tmp_path / "run").exists()
