"""Measures that ``ir_measures`` lacks: one module for each. They are known to ``ir_measures`` once this package is imported."""

import ir_measures

from ance_ir import registries
from ance_ir.eval.measures.base import OwnMeasure
from ance_ir.registry import Registry

__all__ = ["OWN_MEASURES"]

OWN_MEASURES: Registry[OwnMeasure] = registries.MEASURES

for _measure in OWN_MEASURES.values():
    ir_measures.measures.register(_measure)
