"""Families of models that sentence-transformers computes."""

from collections.abc import Mapping

from ance_ir.models.library.multi_vector import MultiVectorEncoder
from ance_ir.models.library.sparse import SparseEncoder
from ance_ir.models.loading.family import Family

__all__ = ["LIBRARY", "MultiVectorEncoder", "SparseEncoder"]

LIBRARY: Mapping[Family, type[SparseEncoder] | type[MultiVectorEncoder]] = {
    "sparse encoder": SparseEncoder,
    "multi-vector encoder": MultiVectorEncoder,
}
"""Their classes."""
