"""Weights in bfloat16: updated in float32, one after the other, and rounded up or down by chance.

A step of bfloat16 is 1/256 to 1/128 of a weight, and the nearest number to a weight after an update of fine-tuning is nearly always the
weight before it, so that nothing would be learnt. Rounded up as often as is right on average (Gupta et al. 2015), small updates add up, and
no copy of the model in float32 is kept: with AdamW a weight takes 2 bytes, its gradient 2, and the state 8, instead of 4, 4 and 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ance_ir.models.compute.randomness import seeded


def round_weights(model: nn.Module) -> None:
    """Have the weights of a model in bfloat16; other numbers that it computes with (such as frequencies of positions) stay as they are."""
    for weight in model.parameters():
        weight.data = weight.data.bfloat16()


@torch.no_grad()
def update_weights(optimiser: torch.optim.Optimizer, seed: int) -> None:
    """Take an optimiser's step. Where weights are in bfloat16, gradients are gone afterwards, and the state is in float32.

    Args:
        optimiser: with gradients of its weights.
        seed: of the rounding; the same in all processes, whose weights are the same.
    """
    groups = optimiser.param_groups
    weights = [(group, weight) for group in groups for weight in group["params"] if weight.grad is not None]
    if all(weight.dtype != torch.bfloat16 for _, weight in weights):
        optimiser.step()
        return
    try:
        with seeded(seed, weights[0][1].device):
            for group, weight in weights:
                _update(optimiser, group, weight)
    finally:
        optimiser.param_groups = groups


def _update(optimiser: torch.optim.Optimizer, group: Mapping[str, Any], weight: nn.Parameter) -> None:
    """Step a copy of one weight, with the state that the optimiser has of it."""
    assert weight.grad is not None
    exact = nn.Parameter(weight.float())
    exact.grad, weight.grad = weight.grad.float(), None
    optimiser.param_groups = [{**group, "params": [exact]}]
    optimiser.state[exact] = optimiser.state[weight]
    optimiser.step()
    del optimiser.state[exact]
    weight.copy_(rounded(exact))


def rounded(values: Tensor) -> Tensor:
    """float32 values in bfloat16, each rounded to one of the two numbers next to it, with the probability by which the mean is the value.

    bfloat16 is the upper half of float32's bits; noise that is uniform over the lower half carries into it as often as is right.
    """
    bits = values.view(torch.int32)
    noisy = torch.randint_like(bits, 1 << 16).add_(bits)
    return noisy.bitwise_and_(-(1 << 16)).view(torch.float32).bfloat16()
