"""The machine's speed of matrix products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ance_ir.models.compute.packing import packed_weights

_SIZE = 2048


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
