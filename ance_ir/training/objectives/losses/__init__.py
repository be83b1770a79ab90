"""Losses over scores, a module each: its docstring has the formula (its first line is shown by ``ance-ir train --help``), its function
``loss`` computes it.

Shapes: B queries, N negatives a query. A loss takes the scores of the positives ``[B]`` and of the negatives ``[B, N]``, divided by the
temperature, and returns a scalar. A negative of −∞ is none: it fills up rows of batches whose queries have different numbers of negatives.
"""

from collections.abc import Callable

from torch import Tensor

from ance_ir import registries
from ance_ir.registry import Registry

__all__ = ["LOSSES", "Loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: Registry[Loss] = registries.LOSSES
"""The losses of dense encoders, by name."""
