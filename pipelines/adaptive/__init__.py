"""Adaptive retrieval: a first stage's documents and their neighbours in the corpus graph of a dense index, scored by it.

A kind that systems know by name, such as ``bm25 % 100 >> x.ance[adaptive=ladr:1; graph=16]``, is a module of ``kinds``. Its ``ADAPTIVE`` is
the class.
"""

from ance_ir import registries
from ance_ir.pipelines.adaptive.base import AdaptiveRetriever
from ance_ir.pipelines.adaptive.kinds.adaptive_ladr import AdaptiveLADR
from ance_ir.pipelines.adaptive.kinds.gar import GAR
from ance_ir.pipelines.adaptive.kinds.ladr import LADR
from ance_ir.registry import Registry

__all__ = ["ADAPTIVES", "AdaptiveLADR", "AdaptiveRetriever", "GAR", "LADR"]

ADAPTIVES: Registry[type[AdaptiveRetriever]] = registries.ADAPTIVES
