"""Training on a GPU: the gradients of a CPU, one wait in a step, runs that are resumed, inferencers and processes on the card."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

import ance_ir.training.objectives.dense as dense
import ance_ir.training.run.step as step_module
from ance_ir.datasets import Dataset
from ance_ir.indexes import FirstP
from ance_ir.indexes.mining import AnnMiner
from ance_ir.models import DenseEncoder
from ance_ir.training import (
    AnnNegatives,
    DenseObjective,
    Inferencer,
    Inferencers,
    NegativeSchedule,
    RandomNegatives,
    Trainer,
    TrainingQueries,
    TrainingRun,
    TrainingSettings,
    read_metrics,
)
from ance_ir.training.batches import Batches
from ance_ir.training.run.memory import predict_memory
from ance_ir.training.run.optimisation import make_optimiser
from ance_ir.training.run.step import Step, take_step
from ance_ir.world import ALONE, TorchWorld, World
from tests.breaking import Breaking, Interrupted
from tests.processes import free_port
from tests.tiny import encoder

PLAIN = {"steps": 9, "batch_size": 8, "negatives": 2, "dropout": False, "learning_rate": 1e-3}


class Steps:
    """Steps of a tiny encoder with random negatives."""

    def __init__(
        self,
        device: torch.device,
        dataset: Dataset,
        queries: TrainingQueries,
        world: World = ALONE,
        *,
        grad_cache: bool = False,
        **settings: Any,
    ) -> None:
        self.settings = TrainingSettings(**{**PLAIN, **settings})
        self.model = encoder().to(device)
        self.objective = DenseObjective(self.model, queries, dataset.store(), FirstP(), world=world, grad_cache=grad_cache)
        self.optimiser = make_optimiser(self.model, self.settings)
        self.batches = Batches(queries, RandomNegatives(queries), self.settings)

    def take(self, step: int) -> Step:
        return take_step(self.objective, self.batches.of_step(step), self.settings, self.optimiser, dropout=step, rounding=step)

    def weights(self) -> dict[str, np.ndarray]:
        return {name: weight.detach().float().cpu().numpy() for name, weight in self.model.named_parameters()}


def assert_close(one: Steps, other: Steps, rel: float) -> None:
    found = other.weights()
    for name, weights in one.weights().items():
        np.testing.assert_allclose(found[name], weights, atol=rel * np.abs(weights).max(), err_msg=name)


@pytest.mark.parametrize("options", [{}, {"grad_cache": True}, {"accumulation": 2}, {"optimiser": "adafactor"}])
def test_steps_are_those_of_the_cpu(device: torch.device, options: dict[str, Any], dataset: Dataset, queries: TrainingQueries) -> None:
    ours, expected = Steps(device, dataset, queries, **options), Steps(torch.device("cpu"), dataset, queries)
    if "optimiser" in options or "accumulation" in options:
        expected = Steps(torch.device("cpu"), dataset, queries, **options)
    for number in range(3):
        found, right = ours.take(number), expected.take(number)
        assert (found.loss, found.norm) == pytest.approx((right.loss, right.norm), rel=1e-3)
        assert found.norms == pytest.approx(right.norms, rel=1e-3)
    assert_close(expected, ours, 1e-3)


def test_bfloat16_learns(device: torch.device, dataset: Dataset, queries: TrainingQueries) -> None:
    steps = Steps(device, dataset, queries, bfloat16=True, learning_rate=3e-3)
    losses = [steps.take(number).loss for number in range(12)]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_the_optimiser_updates_many_weights_at_once(device: torch.device) -> None:
    optimiser = make_optimiser(encoder().to(device), TrainingSettings(steps=1))
    assert optimiser.defaults["fused"]


def test_one_process_of_a_group_trains_as_one_alone(device: torch.device, dataset: Dataset, queries: TrainingQueries) -> None:
    alone = Steps(device, dataset, queries)
    expected = [alone.take(number) for number in range(2)]
    with group_of_one(device) as world:
        grouped = Steps(device, dataset, queries, world)
        for number, step in enumerate(expected):
            assert grouped.take(number).loss == pytest.approx(step.loss, rel=1e-5)
    assert_close(alone, grouped, 1e-5)


@contextmanager
def group_of_one(device: torch.device) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}.items():
            patch.setenv(name, value)
        try:
            yield TorchWorld(torch.device("cuda", 0) if device.type == "cuda" else device)
        finally:
            dist.destroy_process_group()


class _Reads(TorchDispatchMode):
    """Counts numbers that are read out of tensors, each of which a GPU would be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_reads_no_number_before_the_end(dataset: Dataset, queries: TrainingQueries, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, without padding, as on a GPU; what the optimiser reads on a CPU, it does not on a GPU."""
    monkeypatch.setattr(dense, "unpads", lambda tower, lengths: True)
    monkeypatch.setattr(step_module, "update_weights", lambda optimiser, seed: None)
    steps = Steps(torch.device("cpu"), dataset, queries, accumulation=2)
    with _Reads() as reads:
        steps.take(0)
    assert reads.count == 0


@pytest.mark.gpu
def test_a_step_waits_once(dataset: Dataset, queries: TrainingQueries) -> None:
    steps = Steps(torch.device("cuda"), dataset, queries, bfloat16=True, dropout=True, accumulation=2)
    steps.take(0)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            steps.take(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [str(warning.message) for warning in seen if "synchron" in str(warning.message)]
    assert len(waits) <= 1, waits


def _trainer(
    device: torch.device, dataset: Dataset, queries: TrainingQueries, folder: Path, source: NegativeSchedule | None = None, **options: Any
) -> Trainer[DenseEncoder]:
    store, inferencers = dataset.store(), options.pop("inferencers", None)
    return Trainer(
        DenseObjective(encoder().to(device), queries, store, FirstP()),
        source or RandomNegatives(queries),
        TrainingSettings(**{"steps": 12, "batch_size": 4, "learning_rate": 1e-3, "refresh_every": 4, "bfloat16": True, **options}),
        folder,
        dataset={"name": "tiny"},
        miner=AnnMiner(queries, store, FirstP(), depth=5) if source is not None and source.mines else None,
        inferencers=inferencers,
    )


def test_a_run_that_was_broken_off_ends_the_same(device: torch.device, dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    expected = _trainer(device, dataset, queries, tmp_path / "a").train()
    with pytest.raises(Interrupted):
        _trainer(device, dataset, queries, tmp_path / "b", Breaking(queries, 6)).train()
    found = _trainer(device, dataset, queries, tmp_path / "b").train()
    losses = [[line["loss"] for line in read_metrics(tmp_path / name / "metrics.jsonl")] for name in "ab"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    begun = encoder().to(device).state_dict()
    for name, one in expected.state_dict().items():
        off, moved = (found.state_dict()[name] - one).norm(), (begun[name] - one).norm()
        assert off <= (0.2 * moved if device.type == "cuda" else 0), name


def test_an_inferencer_mines_on_the_device(device: torch.device, dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    inferencers = Inferencers([], tmp_path / "inferencers")
    trainer = _trainer(device, dataset, queries, folder, AnnNegatives(queries), steps=60, checkpoint_every=5, inferencers=inferencers)
    miner = AnnMiner(queries, dataset.store(), FirstP(), depth=5)
    work = Inferencer(
        TrainingRun(folder), miner, lambda path: DenseEncoder.from_pretrained(path, device=device), patience=60, say=print
    ).work
    thread = threading.Thread(target=work)
    thread.start()
    trainer.train()
    thread.join(60)
    assert not thread.is_alive()
    assert any("refresh" in line for line in read_metrics(folder / "metrics.jsonl"))


def test_the_memory_of_a_step_is_predicted(device: torch.device, dataset: Dataset, queries: TrainingQueries) -> None:
    steps = Steps(device, dataset, queries, bfloat16=True)
    found = predict_memory(steps.objective, steps.batches.of_step(0), steps.settings)
    assert found.weights > 0 and found.activations > 0
    assert found.optimiser >= 2 * sum(weight.nbytes for weight in steps.model.parameters() if weight.requires_grad)
    if device.type == "cuda":
        for number in range(2):
            steps.take(number)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() - found.weights - found.optimiser
        steps.take(2)
        assert found.total == pytest.approx(torch.cuda.max_memory_allocated() - before, rel=0.3)
