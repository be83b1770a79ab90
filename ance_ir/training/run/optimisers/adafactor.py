"""Adam with a factored second moment, which needs less memory (Shazeer and Stern 2018)."""

from typing import Any

import torch


def make(groups: Any, rate: float) -> torch.optim.Optimizer:
    """PyTorch's Adafactor."""
    return torch.optim.Adafactor(groups, lr=rate)
