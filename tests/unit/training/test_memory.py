"""The predicted memory of a step: what is known by hand, what it leaves as it was, and that it never breaks a run."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ance_ir.models.dense.accelerated as accelerated
from ance_ir.datasets import Dataset
from ance_ir.indexes import FirstP
from ance_ir.training import DenseObjective, RandomNegatives, Trainer, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches
from ance_ir.training.run import memory, storages
from ance_ir.training.run.memory import MemoryWatch, TrainingMemory, predict_memory, with_kept
from ance_ir.training.run.optimisation import make_optimiser
from ance_ir.training.run.storages import weightless
from ance_ir.world import RehearsedWorld
from tests.tiny import cross_encoder, encoder

pytestmark = [pytest.mark.slow, pytest.mark.rehearsal]


def _predicted(dataset: Dataset, queries: TrainingQueries, **options: Any) -> tuple[TrainingMemory, DenseObjective]:
    settings = TrainingSettings(**{"steps": 9, "batch_size": 4, "negatives": 2, **options.pop("settings", {})})
    objective = DenseObjective(options.pop("model", None) or encoder(), queries, dataset.store(), FirstP(), **options)
    batches = Batches(queries, RandomNegatives(queries), settings).of_step(0)
    return predict_memory(objective, batches, settings), objective


def test_weights_and_the_optimisers_state_are_counted_and_the_model_is_as_it_was(dataset: Dataset, queries: TrainingQueries) -> None:
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in encoder().state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    found, objective = _predicted(dataset, queries)
    assert torch.equal(torch.rand(1), expected)
    weights = list(objective.model.parameters())
    bytes_of = sum(-(-weight.nbytes // 64) * 64 for weight in weights)
    trained = [weight for weight in weights if weight.requires_grad]
    assert found.weights == pytest.approx(bytes_of, rel=0.02), "buffers are small"
    state = sum(2 * (-(-weight.nbytes // 64) * 64) + 64 for weight in trained)
    assert found.optimiser == state, "two numbers a weight, and the step"
    assert found.total == found.weights + found.gradients + found.optimiser + found.activations
    after = objective.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, (_, tensor) in before.items())
    assert all(type(weight) is torch.nn.Parameter and weight.grad is None for weight in weights)
    assert not any(module.training for module in objective.model.modules())


def test_a_larger_batch_takes_more_and_grad_cache_and_a_teacher_are_rehearsed(dataset: Dataset, queries: TrainingQueries) -> None:
    small, large = (_predicted(dataset, queries, settings={"batch_size": size})[0] for size in (4, 12))
    assert large.weights == small.weights and large.optimiser == small.optimiser
    assert large.activations > 2 * small.activations
    assert _predicted(dataset, queries, grad_cache=True)[0].activations > 0
    assert _predicted(dataset, queries, loss="margin-mse", teacher=cross_encoder())[0].activations > 0


@pytest.mark.parametrize("grad_cache", [False, True])
def test_of_several_processes_each_reads_its_part_and_sums_the_gradients(
    dataset: Dataset, queries: TrainingQueries, grad_cache: bool
) -> None:
    options: dict[str, Any] = {"settings": {"batch_size": 12}, "grad_cache": grad_cache}
    alone = _predicted(dataset, queries, **options)[0]
    shared, objective = _predicted(dataset, queries, world=RehearsedWorld(2), **options)
    gradients = sum(weight.nbytes for weight in objective.model.parameters() if weight.requires_grad)
    assert (shared.weights, shared.optimiser) == (alone.weights, alone.optimiser)
    assert shared.total < alone.total
    assert shared.total > alone.weights + alone.optimiser + 2 * gradients, "gradients, and the tensor in which they are summed"


@pytest.mark.parametrize("tower", ["query", "passage"])
def test_of_a_tower_that_is_not_trained_only_the_weights_are_counted(dataset: Dataset, queries: TrainingQueries, tower: str) -> None:
    found, objective = _predicted(dataset, queries, model=encoder(shared=False), train_tower=tower)
    trained = getattr(objective.model, f"{tower}_tower")
    assert found.optimiser == sum(2 * (-(-weight.nbytes // 64) * 64) + 64 for weight in trained.parameters() if weight.requires_grad)
    both = _predicted(dataset, queries, model=encoder(shared=False))[0]
    assert found.weights == both.weights
    assert found.optimiser == both.optimiser / 2


def test_a_run_notes_what_was_predicted_and_used_and_survives_a_prediction_that_fails(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained(name: str) -> dict[str, Any]:
        objective = DenseObjective(encoder(), queries, dataset.store(), FirstP())
        settings = TrainingSettings(steps=2, batch_size=4)
        Trainer(objective, RandomNegatives(queries), settings, tmp_path / name, dataset={"name": "tiny"}, verbose=True).train()
        found: dict[str, Any] = json.loads((tmp_path / name / "run.json").read_text())["memory"]
        assert json.loads((tmp_path / name / "model" / "training.json").read_text())["memory"] == found
        return found

    found = trained("a")
    assert found.keys() == {"predicted", "used"}
    before, after = [line for line in capsys.readouterr().out.splitlines() if line.startswith("memory of a step")]
    assert f"total {found['predicted']['total']:.2f} GiB predicted" in before
    assert f"{found['used']:.2f} used" in after

    def fails(*arguments: Any, **seeds: Any) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(memory, "take_step", fails)
    assert trained("b").keys() == {"used"}
    assert "cannot be predicted (no such operator)" in capsys.readouterr().out


def test_a_run_gives_its_prediction_a_few_seconds(
    dataset: Dataset, queries: TrainingQueries, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = itertools.count(step=100.0)
    monkeypatch.setattr(storages.time, "thread_time", lambda: next(seconds))
    objective, settings = DenseObjective(encoder(), queries, dataset.store(), FirstP()), TrainingSettings(steps=1, batch_size=4)
    MemoryWatch(objective, settings, make_optimiser(objective.model, settings)).predict(RandomNegatives(queries))
    assert "cannot be predicted (it would take too long)" in capsys.readouterr().out


def test_what_the_c_library_keeps_is_predicted_where_memory_is_not_saved(dataset: Dataset, queries: TrainingQueries) -> None:
    settings = TrainingSettings(steps=1, batch_size=4)
    found, objective = _predicted(dataset, queries)
    usual = with_kept(found, objective, settings)
    assert usual.kept > 0.1 * found.activations
    assert usual.total == found.total + usual.kept
    for saving in ({"gradient_checkpointing": True}, {"weights": "bfloat16"}):
        assert with_kept(found, objective, TrainingSettings(steps=1, batch_size=4, **saving)) == found
    assert with_kept(found, _predicted(dataset, queries, grad_cache=True)[1], settings) == found


def test_what_is_gone_does_not_count() -> None:
    with weightless(torch.nn.Linear(4, 4)) as storages:
        storages.reset()
        for _ in range(3):
            kept = torch.empty(1024)
            view = kept[:10] * 2
            del kept, view
    assert storages.peak["other"] == 4096 + 64
    assert storages.live["other"] == 0


def test_a_model_that_cannot_be_rehearsed_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    before, made = [*model.parameters()], storages._like

    def interrupted(tensor: torch.Tensor, of: storages.Storages) -> torch.Tensor:
        if tensor is before[2]:
            raise TimeoutError
        return made(tensor, of)

    monkeypatch.setattr(storages, "_like", interrupted)
    with pytest.raises(TimeoutError), weightless(model):
        pass
    assert all(one is other for one, other in zip(model.parameters(), before, strict=True))


def test_a_peak_that_cannot_be_forgotten_is_not_reported(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "forget_peak", lambda: False)
    objective = DenseObjective(encoder(), queries, dataset.store(), FirstP())
    settings = TrainingSettings(steps=1, batch_size=4)
    Trainer(objective, RandomNegatives(queries), settings, tmp_path / "run", dataset={"name": "tiny"}, verbose=True).train()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["memory"].keys() == {"predicted"}


def test_training_frees_what_was_compiled_for_encoding(dataset: Dataset, queries: TrainingQueries, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(accelerated, "COMPILE_FROM", 10)
    model = encoder()
    model.encode_passages(queries.texts)
    assert model.passage_tower in accelerated._compiled
    settings = TrainingSettings(steps=1, batch_size=4)
    batch = Batches(queries, RandomNegatives(queries), settings).of_step(0)[0]
    DenseObjective(model, queries, dataset.store(), FirstP()).backward(batch, 1.0, 1.0)
    assert model.passage_tower not in accelerated._compiled
