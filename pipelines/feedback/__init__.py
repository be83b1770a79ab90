"""Pseudo-relevance feedback for dense retrieval: a transformer between two retrievals that turns results into better query vectors.

A kind that systems know by name, such as ``x.ance[prf=rocchio:5,0.4,0.6]``, is a module of ``kinds``. Its ``FEEDBACK`` is the class.

RM3, feedback for BM25, is in ``pipelines/bm25``.

Example, with the model's query vectors in the frame from the start, so that each query is encoded once::

    model.queries() >> ance % 10 >> RocchioPRF(index) >> ance
"""

from ance_ir import registries
from ance_ir.pipelines.feedback.ance_prf import AncePRF
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.pipelines.feedback.kinds.average import AveragePRF
from ance_ir.pipelines.feedback.kinds.rocchio import RocchioPRF
from ance_ir.registry import Registry

__all__ = ["AncePRF", "AveragePRF", "FEEDBACKS", "RocchioPRF"]

FEEDBACKS: Registry[type[VectorPRF]] = registries.FEEDBACKS
