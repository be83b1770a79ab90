"""LAMB as ANCE's reference implementation has it (You et al. 2020).

No bias correction (``adam_debias`` switches it off), a trust ratio for each tensor, weight norms clamped to [0, 10].
"""

from typing import Any

import torch

from ance_ir.optional import optional


def make(groups: Any, rate: float) -> torch.optim.Optimizer:
    """LAMB of the package pytorch-optimizer.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    library = optional("pytorch_optimizer", package="pytorch-optimizer", needed_for="LAMB", remedy="pip install 'ance_ir[train]'")
    optimiser: torch.optim.Optimizer = library.Lamb(groups, lr=rate, eps=1e-8, weight_decouple=False, adam_debias=True, foreach=False)
    return optimiser
