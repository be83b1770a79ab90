"""Linear layers in the layout in which oneDNN's matrix product is fastest, for as long as many texts are encoded on a CPU.

torch hands float32 products to MKL, which uses AVX-512 on Intel's processors alone; oneDNN uses it on all. The weights are laid out
again for each encoding, since training may have changed them: that takes as long as encoding a few hundred tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

_FROM = 2_048
"""Tokens from which on packing pays."""


@contextlib.contextmanager
def packed_weights(module: nn.Module, tokens: int) -> Iterator[None]:
    """Let the linear layers of a module compute with packed copies of their weights; not for training.

    A second copy of the layers' weights is held meanwhile. Nothing changes where there are few tokens to encode, layers are not on a CPU,
    or torch comes without oneDNN.
    """
    packed = [layer for layer in module.modules() if type(layer) is nn.Linear and _packs(layer)] if tokens >= _FROM and _available() else []
    try:
        for layer in packed:
            layer.forward = _packed(layer)  # type: ignore[assignment,method-assign]
        yield
    finally:
        for layer in packed:
            layer.__dict__.pop("forward", None)


def onednn() -> bool:
    """Whether torch comes with oneDNN's matrix product."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _available() -> bool:
    return onednn() and not torch.is_autocast_enabled("cpu")  # the inputs would be of another type than the weights


def _types() -> tuple[torch.dtype, ...]:
    """The types that the processor multiplies fast."""
    bfloat16 = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return (torch.float32, torch.bfloat16) if bfloat16 is not None and bfloat16() else (torch.float32,)


def _packs(layer: nn.Linear) -> bool:
    return layer.weight.device.type == "cpu" and layer.weight.dtype in _types() and "forward" not in layer.__dict__


def _packed(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
    bias = None if layer.bias is None else layer.bias.detach()

    def forward(input: Tensor) -> Tensor:
        output: Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
        return output

    return forward
