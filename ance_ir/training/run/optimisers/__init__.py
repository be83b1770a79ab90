"""Optimisers, a module each, whose function ``make`` takes groups of parameters, as PyTorch has them, and the learning rate."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ance_ir import registries
from ance_ir.registry import Registry

__all__ = ["Groups", "OPTIMISERS"]

Groups = Sequence[Mapping[str, Any]]
OPTIMISERS: Registry[Callable[[Groups, float], torch.optim.Optimizer]] = registries.OPTIMISERS
"""The optimisers, by name."""
