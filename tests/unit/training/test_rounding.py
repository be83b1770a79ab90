"""Weights in bfloat16: how they are rounded, that small updates are not lost, and that runs with them are like others."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.files import read_json, write_json
from ance_ir.indexes import FirstP
from ance_ir.models import CrossEncoder
from ance_ir.training import DenseObjective, RandomNegatives, RerankerObjective, Trainer, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches
from ance_ir.training.run import rounding
from ance_ir.training.run.memory import predict_memory
from ance_ir.training.run.optimisation import load_optimiser, make_optimiser, save_optimiser
from ance_ir.training.run.rounding import round_weights, rounded, update_weights
from tests.breaking import Breaking, Interrupted, timeless_lines
from tests.processes import CONTEXT, TRAINING, free_port, kill_in, start
from tests.tiny import cross_encoder, encoder
from tests.training_jobs import train, train_together

pytestmark = pytest.mark.slow

OPTIMISERS = ["adamw", "adafactor", "lamb", "adamw8bit"]
BFLOAT16 = {"weights": "bfloat16"}
Make = Callable[..., Trainer[Any]]


@pytest.fixture
def make(dataset: Dataset, queries: TrainingQueries) -> Make:
    def made(folder: Path, model: Any = None, source: Any = None, *, grad_cache: bool = False, **settings: Any) -> Trainer[Any]:
        told = {"steps": 4, "batch_size": 4, "learning_rate": 1e-3, "refresh_every": 2, **BFLOAT16, **settings}
        store = dataset.store()
        objective: Any = (
            RerankerObjective(model, queries, store)
            if isinstance(model, CrossEncoder)
            else DenseObjective(model or encoder(), queries, store, FirstP(), grad_cache=grad_cache)
        )
        source = source or RandomNegatives(queries)
        return Trainer(objective, source, TrainingSettings(**told), folder, dataset={"name": "tiny"}, verbose=True)

    return made


def _neighbours(values: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of bfloat16 at, or on both sides of, float32 values, in float32."""
    near = values.bfloat16()
    other = torch.nextafter(near, torch.where(values > near.float(), torch.inf, -torch.inf).bfloat16())
    other = torch.where(near.float() == values, near, other)
    return near.float(), other.float()


def test_rounding_is_right_on_average_and_goes_to_a_neighbour() -> None:
    torch.manual_seed(0)
    values = torch.cat([torch.randn(200), torch.randn(50) * 1e-30, torch.randn(50) * 1e30, torch.tensor([0.0, 1.0, -2.5, 1 - 2**-20])])
    near, other = _neighbours(values)
    draws = 4000
    found = torch.stack([rounded(values) for _ in range(draws)])
    assert found.dtype == torch.bfloat16
    found = found.float()
    assert ((found == near) | (found == other)).all()
    error = (found.double().mean(0) - values.double()).abs()
    assert (error <= 5 * 0.5 * (near - other).abs().double() / math.sqrt(draws)).all(), "and what bfloat16 has stays as it is"


def _bfloat16(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Linear(64, 80)
    round_weights(model)
    return model


def _gradients(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for weight in model.parameters():
        weight.grad = (0.5 + torch.rand(weight.shape, generator=generator)).bfloat16().to(weight.dtype)


def _mean_move(model: nn.Module, optimiser: str) -> float:
    """How far the weights of a matrix move in steps that are each below half a step of bfloat16, on average."""
    weight = next(model.parameters())
    begun = weight.detach().float().clone()
    made = make_optimiser(model, TrainingSettings(steps=99, learning_rate=2e-5, optimiser=optimiser))
    for step in range(60):
        _gradients(model, step)
        update_weights(made, step)
    return float((weight.detach().float() - begun).mean())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_small_updates_move_the_weights_on_average_as_in_float32(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "adamw8bit":
        pytest.importorskip("bitsandbytes")
    model = _bfloat16()
    moved, expected = _mean_move(model, name), _mean_move(_bfloat16().float(), name)
    assert expected < 0
    assert moved == pytest.approx(expected, rel=0.15)
    assert all(weight.dtype == torch.bfloat16 and weight.grad is None for weight in model.parameters())
    monkeypatch.setattr(rounding, "rounded", lambda values: values.bfloat16())
    assert abs(_mean_move(_bfloat16(), name)) < 0.5 * abs(expected), "rounded to the nearest, most of it would be lost"


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_state_stays_in_float32_and_is_kept_on_disk(tmp_path: Path, name: str) -> None:
    if name == "adamw8bit":
        pytest.importorskip("bitsandbytes")
    settings = TrainingSettings(steps=9, learning_rate=1e-3, optimiser=name, weights="bfloat16")
    model, again = _bfloat16(), _bfloat16(1)
    optimiser, fresh = (make_optimiser(one, settings) for one in (model, again))
    for step in range(3):
        _gradients(model, step)
        update_weights(optimiser, step)
    kinds = {value.dtype for state in optimiser.state.values() for value in state.values() if isinstance(value, Tensor)}
    assert torch.bfloat16 not in kinds
    save_optimiser(optimiser, tmp_path / "o.safetensors")
    again.load_state_dict(model.state_dict())
    load_optimiser(fresh, tmp_path / "o.safetensors")
    for one, stepped in ((model, optimiser), (again, fresh)):
        _gradients(one, 3)
        update_weights(stepped, 3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


MODELS: dict[str, Callable[[], Any]] = {
    "encoder": encoder,
    "head": lambda: encoder("roberta", head=16, pooling="cls"),
    "two towers, cosine": lambda: encoder(shared=False, normalize=True),
    "reranker": lambda: cross_encoder(labels=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_run_is_resumed_exactly_and_ends_with_a_model_in_bfloat16(
    make: Make, tmp_path: Path, queries: TrainingQueries, name: str
) -> None:
    unbroken = make(tmp_path / "a", MODELS[name]()).train()
    with pytest.raises(Interrupted):
        make(tmp_path / "b", MODELS[name](), Breaking(queries, 3)).train()
    resumed = make(tmp_path / "b", MODELS[name]()).train()
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    opened = type(unbroken).from_pretrained(tmp_path / "b", device="cpu")
    begun = MODELS[name]().state_dict()
    for key, weight in unbroken.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[key]), key
        assert torch.equal(weight, opened.state_dict()[key]), key
    moved = [key for key, weight in unbroken.named_parameters() if not torch.equal(weight, begun[key].bfloat16())]
    assert len(moved) > len(list(unbroken.parameters())) / 2
    assert {weight.dtype for weight in opened.parameters()} == {torch.bfloat16}
    assert opened.precision == "bfloat16"
    assert opened.fingerprint() == resumed.fingerprint() == unbroken.fingerprint()


def test_a_killed_run_that_refreshes_ends_with_the_same_bytes(collection: Path, tmp_path: Path) -> None:
    settings = {**BFLOAT16, "steps": 12}
    instants, now, kills = random.Random(3), CONTEXT.Value("i", 0), 0
    while kills < 2 and kill_in(TRAINING, now, start(train, collection, tmp_path / "b", now, settings), instants, 0.05):
        kills += 1
    assert kills, "it was killed"
    for name in ("a", "b"):
        process = start(train, collection, tmp_path / name, None, settings)
        process.join(120)
        assert process.exitcode == 0
    assert timeless_lines(tmp_path / "a") == timeless_lines(tmp_path / "b")
    for path in (tmp_path / "a").rglob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path


def test_processes_that_train_together_have_the_same_weights(collection: Path, tmp_path: Path) -> None:
    port = free_port()
    processes = [start(train_together, collection, tmp_path, rank, 2, port, {**BFLOAT16, "steps": 5}) for rank in range(2)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    one, other = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    assert any(weight.dtype == torch.bfloat16 for weight in one.values())
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.rehearsal
@pytest.mark.parametrize(
    "options",
    [
        {"grad_cache": True},
        {"gradient_checkpointing": True},
        {"freeze": 1, "layer_decay": 0.9},
        {"bfloat16": True, "accumulation": 2},
        {"optimiser": "adafactor"},
    ],
)
def test_what_else_there_is_goes_with_it(make: Make, tmp_path: Path, options: dict[str, Any]) -> None:
    model = make(tmp_path / "run", **options).train()
    begun = encoder().bfloat16().state_dict()
    last, first = "query_tower.backbone.encoder.layer.1.output.dense.weight", "query_tower.backbone.encoder.layer.0.output.dense.weight"
    assert not torch.equal(model.state_dict()[last], begun[last])
    assert torch.equal(model.state_dict()[first], begun[first]) == ("freeze" in options)
    assert read_json(tmp_path / "run" / "run.json")["memory"].keys() >= {"predicted"}, "it can be rehearsed"


def test_weights_gradients_and_state_are_predicted(dataset: Dataset, queries: TrainingQueries) -> None:
    found = []
    for weights in ("float32", "bfloat16"):
        settings = TrainingSettings(steps=9, batch_size=4, weights=weights)
        objective = DenseObjective(encoder(), queries, dataset.store(), FirstP())
        if weights == "bfloat16":
            round_weights(objective.model)
        found.append(predict_memory(objective, Batches(queries, RandomNegatives(queries), settings).of_step(0), settings))
        assert all(weight.grad is None and type(weight) is nn.Parameter for weight in objective.model.parameters())
    assert found[1].weights == pytest.approx(found[0].weights / 2, rel=0.05)
    assert found[1].optimiser == found[0].optimiser, "in float32"
    assert found[1].total < found[0].total


def test_older_runs_are_resumed_and_the_type_of_weights_is_a_setting(make: Make, tmp_path: Path, queries: TrainingQueries) -> None:
    with pytest.raises(Interrupted):
        make(tmp_path / "run", None, Breaking(queries, 3), weights="float32").train()
    manifest = read_json(tmp_path / "run" / "run.json")
    assert "weights" not in manifest["settings"], "as runs before there was a choice"
    with pytest.raises(TrainingError, match=r"settings\.weights was None, is 'bfloat16'"):
        make(tmp_path / "run")
    write_json(tmp_path / "run" / "run.json", manifest)
    make(tmp_path / "run", weights="float32").train()
    make(tmp_path / "other")
    assert read_json(tmp_path / "other" / "run.json")["settings"]["weights"] == "bfloat16"


def test_what_does_not_go_with_it_is_refused(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(objective: Any, named: str) -> None:
        with pytest.raises(UsageError, match=f"bfloat16.*{named}"):
            Trainer(objective, RandomNegatives(queries), TrainingSettings(steps=2, **BFLOAT16), tmp_path / "run", dataset={})
        assert not (tmp_path / "run").exists()

    store = dataset.store()
    refused(DenseObjective(encoder(shared=False), queries, store, FirstP(), train_tower="query"), "train_tower")
    adapted = DenseObjective(encoder(), queries, store, FirstP())
    monkeypatch.setattr(adapted, "manifest", {**adapted.manifest, "lora": {"r": 8}})
    refused(adapted, "lora")


def test_rounding_follows_its_seed_and_leaves_the_global_generator_alone() -> None:
    def stepped(seed: int) -> Tensor:
        model = _bfloat16()
        optimiser = make_optimiser(model, TrainingSettings(steps=9, learning_rate=1e-3))
        _gradients(model, 0)
        torch.manual_seed(5)
        update_weights(optimiser, seed)
        assert torch.equal(torch.rand(1), expected)
        return next(model.parameters())

    torch.manual_seed(5)
    expected = torch.rand(1)
    assert torch.equal(stepped(0), stepped(0))
    assert not torch.equal(stepped(0), stepped(1))
