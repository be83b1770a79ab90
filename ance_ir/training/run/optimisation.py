"""The optimiser, its schedule, and its state on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from ance_ir.errors import TrainingError
from ance_ir.training.run.optimisers import OPTIMISERS
from ance_ir.training.run.schedules import SCHEDULES
from ance_ir.training.run.settings import TrainingSettings

_REMEDY = "delete this checkpoint to resume from the one before"
_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def make_optimiser(
    model: nn.Module, settings: TrainingSettings, rates: Mapping[nn.Parameter, float] | None = None
) -> torch.optim.Optimizer:
    """The optimiser of a run over the trainable weights; matrices decay, biases and norms do not.

    Args:
        model: the model.
        settings: of the run.
        rates: what the learning rate of a weight is multiplied by; 1 for weights that are not named.

    Raises:
        MissingDependencyError: the optimiser's package is not installed.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for weight in model.parameters():
        if weight.requires_grad:
            groups.setdefault((weight.ndim < 2, (rates or {}).get(weight, 1.0)), []).append(weight)
    decays = {True: 0.0, False: settings.weight_decay}
    made = [{"params": groups[key], "weight_decay": decays[key[0]], "rate": key[1]} for key in sorted(groups)]
    return OPTIMISERS[settings.optimiser](made, settings.learning_rate)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give each group of weights its part of a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["rate"]


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """The rate at a step: a linear warm-up, then as the schedule says, to the run's end."""
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    left = (settings.steps - step) / max(1, settings.steps - settings.warm_up_steps)
    return settings.learning_rate * SCHEDULES[settings.schedule](left)


def gradient_norms(model: nn.Module) -> dict[str, Tensor]:
    """Norms of the gradients of parts of the model: its embeddings, each third of its layers, and the rest (paper, figure 8).

    Of separate towers both are counted together. The norms are float32 on the model's device.
    """
    norms_of: dict[str, list[Tensor]] = {}
    layers = [int(found[1]) for name, _ in model.named_parameters() if (found := _LAYER.search(name))]
    count = max(layers, default=-1) + 1
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        found = _LAYER.search(name)
        if found:
            third = 3 * int(found[1]) // count
            first, last = -(-third * count // 3) + 1, -(-(third + 1) * count // 3)
            part = f"layers {first}-{last}" if first < last else f"layer {first}"
        else:
            part = "embeddings" if "embeddings" in name else "head"
        norms_of.setdefault(part, []).append(torch.linalg.vector_norm(parameter.grad.detach(), dtype=torch.float32))
    return {part: torch.linalg.vector_norm(torch.stack(norms)) for part, norms in norms_of.items()}


def checkpoint_gradients(model: nn.Module) -> None:
    """Let the Hugging Face models within compute their layers again for the gradients instead of keeping what is between."""
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.gradient_checkpointing_enable({"use_reentrant": False})


def save_optimiser(optimiser: torch.optim.Optimizer, path: Path) -> None:
    """Write the state tensors, named by the parameter's place."""
    places = {weight: place for place, weight in enumerate(weight for group in optimiser.param_groups for weight in group["params"])}
    state = {places[weight]: values for weight, values in optimiser.state.items()}
    save_file({f"{i}.{name}": torch.as_tensor(value).contiguous() for i, values in state.items() for name, value in values.items()}, path)


def load_optimiser(optimiser: torch.optim.Optimizer, path: Path) -> None:
    """Read the state tensors into an optimiser over the same parameters.

    Raises:
        TrainingError: the file cannot be read.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path}: the optimiser's state cannot be read ({error}); {_REMEDY}") from error
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        place, _, name = key.partition(".")
        if not place.isdecimal() or not name:
            raise TrainingError(f"{path}: expected the place of a parameter and a name, found {key!r}; {_REMEDY}")
        state.setdefault(int(place), {})[name] = value
    try:
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        for i, weight in enumerate(weight for group in optimiser.param_groups for weight in group["params"]):
            held = optimiser.state.get(weight, {})  # PyTorch has given it the weight's type, which may be a smaller one
            held.update({name: value.to(held[name].device) for name, value in state.get(i, {}).items()})
    except (ValueError, RuntimeError, LookupError, TypeError) as error:
        raise TrainingError(f"{path}: the optimiser's state is another optimiser's ({error}); {_REMEDY}") from error
