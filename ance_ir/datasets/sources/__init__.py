"""Where datasets come from, a module each; ``datasets.source`` says what a source is."""

from ance_ir import registries
from ance_ir.datasets.source import Source
from ance_ir.registry import Registry

__all__ = ["SOURCES"]

SOURCES: Registry[Source] = registries.DATASET_SOURCES
