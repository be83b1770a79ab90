"""Formats of files of runs: one module for each."""

from ance_ir import registries
from ance_ir.eval.runs.formats._format import RunFormat
from ance_ir.registry import Registry

__all__ = ["RUN_FORMATS", "RunFormat"]

RUN_FORMATS: Registry[RunFormat] = registries.RUN_FORMATS
"""The formats of runs, by name."""
