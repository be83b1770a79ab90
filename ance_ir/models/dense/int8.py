"""Towers in 8 bits on a CPU, computed by OpenVINO.

Weights of linear layers are whole numbers from −127 to 127 with a scale for each output; so are their inputs, with a scale for each group
of 128 numbers, found as they come (no calibration). Products are summed in 32 bits. All the rest is bfloat16 where the processor has
instructions for it, float32 elsewhere.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ance_ir.errors import ModelError, UsageError
from ance_ir.models.adapters.layers import is_adapted, merge
from ance_ir.models.compute.openvino import Compiled
from ance_ir.models.dense.graph import traceable
from ance_ir.models.dense.tower import Compute, Tower
from ance_ir.optional import optional

_GROUP = 128


class _Int8Linear(nn.Module):
    """A linear layer in the form that OpenVINO recognises: whole numbers, scales, and their product."""

    weight: Tensor
    scale: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        scale = weight.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self.register_buffer("weight", torch.round(weight / scale).to(torch.int8))
        self.register_buffer("scale", scale)
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight.float() * self.scale, self.bias)


class Int8Tower(Tower):
    """A tower in 8 bits. Of the backbone and the head only the shapes remain, and it stays on the CPU.

    Args:
        tower: on a CPU; left as it is.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        ModelError: OpenVINO cannot convert the backbone.
    """

    def __init__(self, tower: Tower) -> None:
        compute = _compile(tower)
        shapes = copy.deepcopy(tower).to("meta")
        super().__init__(shapes.backbone, pooling=shapes.pooling, head=shapes.head, normalize=shapes.normalize)
        self.separator = tower.separator
        self._compute = compute

    def forward(self, ids_BL: Tensor, mask_BL: Tensor | None, compute: Compute | None = None) -> Tensor:
        """See ``Tower.forward``."""
        return (compute or self._compute)(ids_BL, mask_BL)

    @property
    def streams(self) -> int:
        """How many batches are computed at once."""
        return self._compute.streams

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def with_separator(self, separator: int | None) -> Int8Tower:
        """See ``Tower``; the graph has token types in it already, or has none.

        Raises:
            UsageError: they are others.
        """
        if separator != self.separator:
            raise UsageError("title_types is part of what was converted to int8; open the model with it")
        return self

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Int8Tower:
        return self  # there are no weights to move or to cast


def _compile(tower: Tower) -> Compiled:
    optional("openvino", needed_for="int8", remedy="pip install 'ance_ir[int8]'")
    quantized = traceable(tower)
    if is_adapted(quantized):
        merge(quantized)  # peft looks at the types of weights, which will be whole numbers
    for module in list(quantized.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is nn.Linear:
                setattr(module, name, _Int8Linear(layer))
    try:
        return Compiled(quantized, bfloat16=True, DYNAMIC_QUANTIZATION_GROUP_SIZE=str(_GROUP))
    except Exception as error:  # OpenVINO's and the tracer's errors have no root of their own
        kind = tower.backbone.config.model_type
        lines = [line for line in str(error).strip().splitlines() if not line.startswith("Exception from ")]
        raise ModelError(f"OpenVINO does not convert this {kind} to int8: {lines[-1] if lines else error!r}") from error
