"""The operations of a model, and the machine's speed of matrix products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ance_ir.models import Tower
from ance_ir.models.compute.packing import packed_weights

_SIZE = 2048


def operations(tower: Tower, lengths: Sequence[int]) -> float:
    """Floating-point operations to encode texts of so many tokens, padding not counted.

    Two for each weight of a linear layer and token, and in each layer's attention four for each unit of the width and pair of tokens:
    2 · weights · Σ length + 4 · layers · width · Σ length².
    """
    config = tower.backbone.config
    linear = (module for name, module in tower.backbone.named_modules() if isinstance(module, nn.Linear) and "pooler" not in name)
    weights = sum(module.weight.numel() for module in linear)
    pairs = sum(length**2 for length in lengths)
    return float(2 * weights * sum(lengths) + 4 * config.num_hidden_layers * config.hidden_size * pairs)


def products(device: str) -> tuple[float, dict[str, Callable[[], object]]]:
    """Float32 matrix products, the floating-point operations of each, and the ways to compute one: torch's own, and packed weights."""
    layer = nn.Linear(_SIZE, _SIZE, bias=False, device=device).requires_grad_(False)
    inputs = torch.randn(_SIZE, _SIZE, device=device)

    def packed() -> None:
        with packed_weights(layer, 4 * _SIZE):
            for _ in range(4):
                layer(inputs)

    def plain() -> None:
        for _ in range(4):
            layer(inputs)

    return 4 * 2.0 * _SIZE**3, {"product": plain, "packed product": packed}
