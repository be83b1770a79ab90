"""AdamW with a state of 8 bits a number (Dettmers et al. 2022): a quarter of the memory; slow on a CPU."""

from typing import Any

import torch

from ance_ir.optional import optional


def make(groups: Any, rate: float) -> torch.optim.Optimizer:
    """AdamW8bit of the package bitsandbytes; the state of weights with fewer than 4,096 numbers stays in float32.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    library = optional("bitsandbytes", needed_for="an optimiser state in 8 bits", remedy="pip install 'ance_ir[bits8]'")
    optimiser: torch.optim.Optimizer = library.optim.AdamW8bit(groups, lr=rate)
    return optimiser
