"""One step of training: the gradients of its batches, clipped, and the optimiser's update."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence

import torch

from ance_ir.device_memory import enough_memory
from ance_ir.models.compute.randomness import seeded
from ance_ir.training.batches import Batch
from ance_ir.training.objectives.objective import Objective
from ance_ir.training.run.folder import Model
from ance_ir.training.run.optimisation import gradient_norms
from ance_ir.training.run.rounding import update_weights
from ance_ir.training.run.settings import TrainingSettings

_LESS_MEMORY = (
    "A step takes less with --gradient-checkpointing, with --grad-cache where negatives come from the batch, and with smaller batches: "
    "--batch-size, and --accumulation for as many queries in a step"
)


class Diverged(Exception):
    """What was computed is not a finite number.

    Args:
        what: it is.
        value: of it.
    """

    def __init__(self, what: str, value: float) -> None:
        super().__init__(what, value)
        self.what = what
        self.value = value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """What a step says of itself.

    Attributes:
        loss: the mean over its batches.
        norm: of the gradient, before clipping.
        norms: of its parts, likewise.
        tokens: that this process read.
    """

    loss: float
    norm: float
    norms: dict[str, float]
    tokens: int


@enough_memory(_LESS_MEMORY)
def take_step(
    objective: Objective[Model],
    batches: Sequence[Batch],
    settings: TrainingSettings,
    optimiser: torch.optim.Optimizer,
    *,
    dropout: int,
    rounding: int,
) -> Step:
    """Train on the batches of a step.

    Args:
        objective: the model and its loss.
        batches: of the step.
        settings: of the run.
        optimiser: with the step's learning rate.
        dropout: its seed.
        rounding: the seed of that of weights in bfloat16, the same in all processes.

    Raises:
        Diverged: the loss, or the gradient's norm, is not a finite number; the weights are as they were.
        DeviceMemoryError: it does not fit. Smaller batches, which have other negatives, would be another training.
    """
    model, world = objective.model, objective.world
    optimiser.zero_grad(set_to_none=True)
    model.train(settings.dropout)
    losses, tokens = [], 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(seeded(dropout, model.device))
        stack.enter_context(torch.autocast(model.device.type, torch.bfloat16, enabled=settings.bfloat16))
        for batch in batches:
            loss, read = objective.backward(batch, settings.temperature, 1 / len(batches))
            losses.append(loss)
            tokens += read
    model.eval()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    world.sum_gradients(parameters)
    norms = gradient_norms(model)
    norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
    # the one time in a step that a GPU is waited for: whether it diverged must be known before the weights change
    values = torch.stack([value.float() for value in (norm, *norms.values(), *losses)]).tolist()
    total = sum(loss / len(batches) for loss in values[1 + len(norms) :])
    if not math.isfinite(total):
        raise Diverged("loss", total)
    if not math.isfinite(values[0]):
        raise Diverged("gradient's norm", values[0])
    update_weights(optimiser, rounding)
    return Step(loss=total, norm=values[0], norms=dict(zip(norms, values[1:], strict=False)), tokens=tokens)
