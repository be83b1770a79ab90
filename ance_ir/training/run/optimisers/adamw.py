"""Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

from typing import Any

import torch


def make(groups: Any, rate: float) -> torch.optim.Optimizer:
    """PyTorch's AdamW."""
    return torch.optim.AdamW(groups, lr=rate)
