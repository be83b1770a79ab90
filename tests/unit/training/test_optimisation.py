"""Schedule, and the optimiser's state on disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ance_ir.errors import TrainingError, UsageError
from ance_ir.training import TrainingSettings
from ance_ir.training.run.optimisation import (
    checkpoint_gradients,
    gradient_norms,
    learning_rate,
    load_optimiser,
    make_optimiser,
    save_optimiser,
)
from tests.tiny import backbone


def test_the_rate_rises_then_falls_in_straight_lines() -> None:
    settings = TrainingSettings(steps=10, warm_up_steps=4, learning_rate=1.0)
    assert [round(learning_rate(step, settings), 4) for step in range(10)] == [
        0.25,
        0.5,
        0.75,
        1.0,
        1.0,
        0.8333,
        0.6667,
        0.5,
        0.3333,
        0.1667,
    ]


def test_only_matrices_decay() -> None:
    optimiser = make_optimiser(nn.Linear(3, 2), TrainingSettings(steps=1, weight_decay=0.1))
    decays = {group["weight_decay"]: [weight.ndim for weight in group["params"]] for group in optimiser.param_groups}
    assert decays == {0.1: [2], 0.0: [1]}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", [0.5, 1.0, *((1 + math.cos(math.pi * part)) / 2 for part in (0, 0.25, 0.5, 0.75))]),
    ],
)
def test_schedules(schedule: Any, expected: list[float]) -> None:
    settings = TrainingSettings(steps=6, warm_up_steps=2, learning_rate=1.0, schedule=schedule)
    assert [learning_rate(step, settings) for step in range(6)] == pytest.approx(expected)


def test_lamb_is_that_of_the_reference() -> None:
    """Written from You et al. 2020, algorithm 2, with the reference implementation's choices: no bias correction, clamped norms."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight *= 40  # a norm that is clamped
    settings = TrainingSettings(steps=9, learning_rate=0.01, weight_decay=0.1, optimiser="lamb")
    optimiser = make_optimiser(model, settings)
    expected = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    first = {name: torch.zeros_like(value) for name, value in expected.items()}
    second = {name: torch.zeros_like(value) for name, value in expected.items()}
    for step in range(4):
        _one(model, optimiser, step)
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            first[name] = 0.9 * first[name] + 0.1 * parameter.grad
            second[name] = 0.999 * second[name] + 0.001 * parameter.grad**2
            update = first[name] / (second[name].sqrt() + 1e-8)
            if parameter.ndim == 2:
                update = update + 0.1 * expected[name]
            ratio = min(float(expected[name].norm()), 10) / float(update.norm())
            expected[name] = expected[name] - 0.01 * ratio * update
            torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-4, atol=1e-5)


def test_norms_of_gradients_are_told_by_thirds_of_the_layers() -> None:
    model = backbone(num_hidden_layers=6)
    ids = torch.arange(5, 25).view(2, 10)
    model(input_ids=ids).last_hidden_state.square().sum().backward()
    norms = gradient_norms(model)
    assert set(norms) == {"embeddings", "layers 1-2", "layers 3-4", "layers 5-6"}
    of_layer_3 = [weight.grad for name, weight in model.named_parameters() if ".layer.2." in name or ".layer.3." in name]
    assert norms["layers 3-4"] == pytest.approx(
        float(torch.cat([gradient.ravel() for gradient in of_layer_3 if gradient is not None]).norm())
    )
    everything = [weight.grad.ravel() for weight in model.parameters() if weight.grad is not None]
    assert math.hypot(*norms.values()) == pytest.approx(float(torch.cat(everything).norm()))


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_checkpointed_gradients_are_the_same(kind: Any) -> None:
    ids = torch.arange(5, 25).view(2, 10)
    found = []
    for checkpointed in (False, True):
        model = backbone(kind).train()
        if checkpointed:
            checkpoint_gradients(model)
        calls: list[None] = []
        model.encoder.layer[0].attention.register_forward_hook(lambda *_, calls=calls: calls.append(None))
        torch.manual_seed(5)
        model(input_ids=ids).last_hidden_state[:, 0].square().sum().backward()
        found.append([weight.grad for weight in model.parameters() if weight.grad is not None])
        assert len(calls) == 1 + checkpointed, "computed again"
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def _stepped(steps: int, optimiser_name: Any = "adamw") -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimiser = make_optimiser(model, TrainingSettings(steps=9, learning_rate=0.1, optimiser=optimiser_name))
    for step in range(steps):
        _one(model, optimiser, step)
    return model, optimiser


def _one(model: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    optimiser.zero_grad()
    model(torch.full((1, 3), float(step + 1))).square().sum().backward()
    optimiser.step()


@pytest.mark.parametrize("name", ["adamw", "lamb", "adafactor"])
def test_an_optimiser_goes_on_from_its_state_on_disk(tmp_path: Path, name: str) -> None:
    model, optimiser = _stepped(3, name)
    save_optimiser(optimiser, tmp_path / "o.safetensors")
    again, fresh = _stepped(0, name)
    again.load_state_dict(model.state_dict())
    load_optimiser(fresh, tmp_path / "o.safetensors")
    _one(model, optimiser, 3)
    _one(again, fresh, 3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_state_in_8_bits_is_kept_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")

    def made(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(seed)
        model = nn.Linear(96, 64)
        return model, make_optimiser(model, TrainingSettings(steps=9, learning_rate=0.01, optimiser="adamw8bit"))

    def step(model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        model(torch.linspace(-1, 1, 96)[None]).square().sum().backward()
        optimiser.step()

    model, optimiser = made(0)
    step(model, optimiser)
    step(model, optimiser)
    save_optimiser(optimiser, tmp_path / "o.safetensors")
    assert (tmp_path / "o.safetensors").stat().st_size < 4 * 96 * 64, "float32 would be twice that"
    again, fresh = made(1)
    again.load_state_dict(model.state_dict())
    load_optimiser(fresh, tmp_path / "o.safetensors")
    step(model, optimiser)
    step(again, fresh)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_state_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "o.safetensors").write_bytes(b"no such thing")
    with pytest.raises(TrainingError, match=r"o\.safetensors"):
        load_optimiser(_stepped(0)[1], tmp_path / "o.safetensors")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps is at least 1, not 0"),
        ({"steps": 5, "batch_size": 0}, "batch_size is at least 1"),
        ({"steps": 5, "learning_rate": 0.0}, "learning_rate is above 0"),
        ({"steps": 5, "temperature": float("nan")}, "temperature is above 0"),
        ({"steps": 5, "warm_up_steps": 6}, "warm_up_steps lies between 0 and the run's 5 steps"),
        ({"steps": 5, "checkpoint_every": 0}, "checkpoint_every is at least 1"),
        ({"steps": 5, "seed": -1}, "seed is at least 0, not -1"),
        ({"steps": 5, "negatives": -1}, "negatives is at least 0"),
        ({"steps": 5, "weight_decay": math.nan}, "weight_decay is at least 0, not nan"),
        ({"steps": 5, "optimiser": "sgd"}, "optimiser 'sgd'"),
        ({"steps": 5, "gradient_checkpointing": True, "dropout": False}, "only while dropout is on"),
        ({"steps": 5, "schedule": "step"}, "schedule 'step'"),
        ({"steps": 5, "weights": "float16"}, "type of weights 'float16'"),
    ],
)
def test_settings_that_cannot_be_meant(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingSettings(**wrong)
