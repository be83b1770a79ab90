"""RaBitQ codes after a random rotation: BITS a dimension, by default 2."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._part import Part

BITS = 2

_DISTANCES = "Faiss compares RaBitQ codes in a graph by distance, not by inner product; use hnsw+sq8 or ivf+rabitq"

PART = Part(
    kind="storage",
    takes="BITS",
    bounds=(1, 9),
    factory=lambda corpus, number: "RaBitQ" if number == 1 else f"RaBitQ{number or BITS}",
    rotation=lambda corpus: f"RR{corpus.kept}",
    rescored=5,
    refuses={"hnsw": _DISTANCES},
)
