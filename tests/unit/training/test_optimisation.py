"""Schedule, and the optimiser's state on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ance_ir.errors import TrainingError, UsageError
from ance_ir.training import TrainingSettings
from ance_ir.training.optimisation import adamw, learning_rate, load_optimiser, save_optimiser


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
    optimiser = adamw(nn.Linear(3, 2), TrainingSettings(steps=1, weight_decay=0.1))
    decays = {group["weight_decay"]: [weight.ndim for weight in group["params"]] for group in optimiser.param_groups}
    assert decays == {0.1: [2], 0.0: [1]}


def _stepped(steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimiser = adamw(model, TrainingSettings(steps=9, learning_rate=0.1))
    for step in range(steps):
        _one(model, optimiser, step)
    return model, optimiser


def _one(model: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    optimiser.zero_grad()
    model(torch.full((1, 3), float(step + 1))).square().sum().backward()
    optimiser.step()


def test_an_optimiser_goes_on_from_its_state_on_disk(tmp_path: Path) -> None:
    model, optimiser = _stepped(3)
    save_optimiser(optimiser, tmp_path / "o.safetensors")
    again, fresh = _stepped(0)
    again.load_state_dict(model.state_dict())
    load_optimiser(fresh, tmp_path / "o.safetensors")
    _one(model, optimiser, 3)
    _one(again, fresh, 3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_state_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "o.safetensors").write_bytes(b"no such thing")
    with pytest.raises(TrainingError, match=r"o\.safetensors: the optimiser's state cannot be read"):
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
        ({"steps": 5, "seed": -1}, "not negative"),
    ],
)
def test_settings_that_cannot_be_meant(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingSettings(**wrong)  # type: ignore[arg-type]
