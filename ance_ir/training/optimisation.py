"""The optimiser, its schedule, and its state on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ance_ir.errors import TrainingError
from ance_ir.training.settings import TrainingSettings


def adamw(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW over the trainable weights; matrices decay, biases and norms do not."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trainable if parameter.ndim >= 2]
    others = [parameter for parameter in trainable if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """The rate at a step: linear warm-up, then linear decay to 0 at the run's end."""
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    return settings.learning_rate * (settings.steps - step) / max(1, settings.steps - settings.warm_up_steps)


def save_optimiser(optimiser: torch.optim.Optimizer, path: Path) -> None:
    """Write the state tensors, named by the parameter's place."""
    state = optimiser.state_dict()["state"]
    save_file({f"{i}.{name}": torch.as_tensor(value).contiguous() for i, values in state.items() for name, value in values.items()}, path)


def load_optimiser(optimiser: torch.optim.Optimizer, path: Path) -> None:
    """Read the state tensors into an optimiser over the same parameters.

    Raises:
        TrainingError: the file cannot be read.
    """
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors raises its own type, which it does not export
        raise TrainingError(
            f"{path}: the optimiser's state cannot be read ({error}); delete this checkpoint to go on from the one before"
        ) from error
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        place, name = key.split(".", 1)
        state.setdefault(int(place), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
