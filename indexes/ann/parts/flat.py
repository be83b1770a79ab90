"""Float32, the default."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._part import Part

PART = Part(kind="storage", lossless=True, factory=lambda corpus, number: "Flat")
