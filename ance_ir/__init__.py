"""ANCE dense retrieval: train, index, compose and evaluate, from PyTerrier expressions and from the command ``ance-ir``.

The names below are imported on first use, so that ``import ance_ir`` and ``ance-ir --help`` stay fast.
Further public names are in ``ance_ir.indexes``, ``ance_ir.pipelines`` and ``ance_ir.eval``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ance_ir.datasets import load_dataset
    from ance_ir.models import CrossEncoder, DenseEncoder, Reader

__version__ = "0.1.0"
__all__ = ["CrossEncoder", "DenseEncoder", "Reader", "__version__", "load_dataset"]

_LAZY = {
    "CrossEncoder": "ance_ir.models",
    "DenseEncoder": "ance_ir.models",
    "Reader": "ance_ir.models",
    "load_dataset": "ance_ir.datasets",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
