"""Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

from typing import Any

import torch


def make(groups: Any, rate: float) -> torch.optim.Optimizer:
    """PyTorch's AdamW; on a GPU the one that updates many weights at once."""
    on_gpu = all(weight.device.type == "cuda" for group in groups for weight in group["params"])
    return torch.optim.AdamW(groups, lr=rate, fused=on_gpu or None)
