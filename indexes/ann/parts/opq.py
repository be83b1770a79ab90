"""Product quantisation after a learned rotation; also written opq+pq."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._codes import code_bytes
from ance_ir.indexes.ann.parts._part import Part

PART = Part(kind="rotation", takes="BYTES", storage="pq", factory=lambda corpus, number: f"OPQ{code_bytes(corpus, number)}")
