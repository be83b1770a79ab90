"""RaBitQ codes: BITS a dimension, by default 4."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._part import Part

_DISTANCES = "Faiss compares RaBitQ codes in a graph by distance, not by inner product; use hnsw+sq8 or ivf+rabitq"

PART = Part(
    kind="storage",
    takes="BITS",
    bounds=(1, 9),
    factory=lambda corpus, number: f"RaBitQ{number or 4}" if number != 1 else "RaBitQ",
    refuses={"hnsw": _DISTANCES},
)
