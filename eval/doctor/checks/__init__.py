"""Checks of the doctor: one module for each."""

from collections.abc import Callable, Iterator

from ance_ir import registries
from ance_ir.eval.doctor.case import Case
from ance_ir.eval.doctor.finding import Finding
from ance_ir.registry import Registry

__all__ = ["CHECKS"]

CHECKS: Registry[Callable[[Case], Iterator[Finding]]] = registries.CHECKS
