"""How documents are cut into passages: FirstP, MaxP (paper, section 3.1), sliding window; one module a scheme.

A scheme says where to cut; the encoder, which owns the tokeniser, cuts. In a pipeline the scheme comes before the encoder::

    MaxP(512, 4) >> model.passages() >> AnceIndex("documents.ance")

Lengths are tokens of a passage, special tokens included; without one, the model's own passage length holds.
"""

from ance_ir.indexes.passages._parser import parse_passages
from ance_ir.indexes.passages.chunks import Chunks
from ance_ir.indexes.passages.firstp import FirstP
from ance_ir.indexes.passages.maxp import MaxP
from ance_ir.indexes.passages.sliding import SlidingWindow

__all__ = ["Chunks", "FirstP", "MaxP", "SlidingWindow", "parse_passages"]
