"""Fusion: the rankings of several systems made into one.

A fusion that systems know by name, such as ``rrf(bm25, ance)``, is a module of ``functions``. Its ``FUSION`` takes the systems and
``num_results=``, and ``weights=`` if its systems may have weights.
"""

from collections.abc import Callable

from ance_ir import registries
from ance_ir.pipelines.fusion.base import Candidates, Fusion
from ance_ir.pipelines.fusion.named.rrf import ReciprocalRankFusion
from ance_ir.pipelines.fusion.weighted_sum import Missing, Normalization, WeightedSum
from ance_ir.registry import Registry

__all__ = ["Candidates", "FUSIONS", "Missing", "Normalization", "ReciprocalRankFusion", "WeightedSum"]

FUSIONS: Registry[Callable[..., Fusion]] = registries.FUSIONS
