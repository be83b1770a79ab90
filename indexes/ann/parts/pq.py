"""Product quantisation: BYTES a vector, by default a quarter of the dimensions."""

from __future__ import annotations

import math

from ance_ir.indexes.ann.parts._codes import code_bytes
from ance_ir.indexes.ann.parts._part import Corpus, Part


def _factory(corpus: Corpus, number: int | None) -> str:
    bits = min(8, int(math.log2(max(2, corpus.sample))))  # fewer than 256 vectors train shorter codes
    size = code_bytes(corpus, number)
    return f"PQ{size}" if bits == 8 else f"PQ{size}x{bits}"


PART = Part(kind="storage", takes="BYTES", rescored=5, factory=_factory)
