"""ANCE dense retrieval: train, index, compose and evaluate, from PyTerrier expressions and from the command ``ance-ir``.

The names below are imported on first use, which keeps ``import ance_ir`` and ``ance-ir --help`` fast.
Further public names are in ``ance_ir.indexes``, ``ance_ir.pipelines`` and ``ance_ir.eval``.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ance_ir.datasets import load_dataset
    from ance_ir.models import CrossEncoder, DenseEncoder, Reader
    from ance_ir.models import open as open_model

# Threads of torch and Faiss that wait for each other sleep instead of spinning, which takes the cores away from whatever runs next to them
# (docs/benchmarks.md). Both read it once, when they are imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
__all__ = ["CrossEncoder", "DenseEncoder", "Reader", "__version__", "load_dataset", "open_model"]

_LAZY = {
    "CrossEncoder": ("ance_ir.models", "CrossEncoder"),
    "DenseEncoder": ("ance_ir.models", "DenseEncoder"),
    "Reader": ("ance_ir.models", "Reader"),
    "load_dataset": ("ance_ir.datasets", "load_dataset"),
    "open_model": ("ance_ir.models", "open"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return __all__
