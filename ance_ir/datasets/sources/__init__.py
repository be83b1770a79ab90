"""The sources of datasets, a module each; ``datasets.source`` defines them."""

from ance_ir import registries
from ance_ir.datasets.source import Source
from ance_ir.registry import Registry

__all__ = ["SOURCES"]

SOURCES: Registry[Source] = registries.DATASET_SOURCES
