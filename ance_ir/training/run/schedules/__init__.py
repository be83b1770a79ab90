"""Schedules of the learning rate after its warm-up, a module each, whose function ``factor`` gives the share of the peak.

Its argument is the share of the steps after the warm-up that are left: 1 at the first of them, towards 0 at the last.
"""

from collections.abc import Callable

from ance_ir import registries
from ance_ir.registry import Registry

__all__ = ["SCHEDULES"]

SCHEDULES: Registry[Callable[[float], float]] = registries.SCHEDULES
"""The schedules of learning rates, by name."""
