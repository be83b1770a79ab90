"""Layers that are not trained, and layers with learning rates of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from ance_ir.errors import UsageError
from ance_ir.training.run.folder import Trainable


@contextlib.contextmanager
def frozen(model: Trainable, layers: int | None) -> Iterator[None]:
    """Leave the embeddings and the first layers as they are meanwhile, of each tower where there are two.

    Args:
        model: the model.
        layers: how many layers; 0: the embeddings alone; ``None``: train everything.

    Raises:
        UsageError: the model has fewer layers, or nothing else to train, or keeps its layers at an unknown place.
    """
    weights = [] if layers is None else _first_weights(model, layers)
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def _first_weights(model: Trainable, layers: int) -> list[nn.Parameter]:
    found: list[nn.Parameter] = []
    for places, count in model.depths():
        if layers > count:
            raise UsageError(f"freeze {layers}: {model.name} has {count} layers, of which the first 0 to {count} can be frozen")
        found += [weight for weight, place in places.items() if place <= layers and weight.requires_grad]
    if len(found) == sum(weight.requires_grad for weight in model.parameters()):
        raise UsageError(f"freeze {layers}: {model.name} has no other weights than these, so that nothing would be trained")
    return found


def layer_rates(model: Trainable, decay: float | None) -> dict[nn.Parameter, float]:
    """What the learning rate of each weight is multiplied by; weights that are not named have the whole rate.

    Args:
        model: the model.
        decay: a layer's rate, in parts of that of the layer after it; ``None``: all have the same.

    Raises:
        UsageError: the model keeps its layers at an unknown place.
    """
    if decay is None:
        return {}
    return {weight: decay ** max(0, count - place) for places, count in model.depths() for weight, place in places.items()}
