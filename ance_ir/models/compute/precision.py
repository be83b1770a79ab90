"""The precisions that models compute in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16", "int8"]
"""What a model computes in."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The origin of a model at another precision than its checkpoint's. Such a model computes; it is neither trained nor saved.

    Attributes:
        precision: what it computes in.
        hashes: of the weights before, and of parts of them that the family tells apart, by their names.
    """

    precision: Precision
    hashes: Mapping[str, str]


def keep_in_float32(layer: nn.Linear) -> None:
    """Have a layer compute in float32 even where its weights are in half precision, in which close logits would be equal."""
    if not layer._forward_hooks:
        layer.register_forward_hook(_in_float32)


def _in_float32(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    if output.dtype == torch.float32:
        return output
    assert isinstance(module, nn.Linear)
    bias = None if module.bias is None else module.bias.float()
    with torch.autocast(output.device.type, enabled=False):
        return nn.functional.linear(inputs[0].float(), module.weight.float(), bias)
