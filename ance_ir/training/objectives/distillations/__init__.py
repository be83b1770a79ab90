"""Losses against a teacher's scores, a module each: its docstring has the formula, its function ``loss`` computes it.

Shapes: B queries, N negatives a query. A distillation takes the student's scores of the positives ``[B]`` and of the negatives ``[B, N]``,
divided by the temperature, then the teacher's, and returns a scalar.
"""

from collections.abc import Callable

from torch import Tensor

from ance_ir import registries
from ance_ir.registry import Registry

__all__ = ["DISTILLATIONS", "Distillation"]

Distillation = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
DISTILLATIONS: Registry[Distillation] = registries.DISTILLATIONS
"""The losses of distillation, by name."""
