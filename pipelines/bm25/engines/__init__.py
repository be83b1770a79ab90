"""The BM25 engines, a module each; ``bm25.engine`` defines them."""

from ance_ir import registries
from ance_ir.pipelines.bm25.engine import Engine
from ance_ir.registry import Registry

__all__ = ["ENGINES"]

ENGINES: Registry[Engine] = registries.BM25_ENGINES
