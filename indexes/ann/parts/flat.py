"""Float32, the default."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._part import Part

PART = Part(kind="storage", rescored=0, factory=lambda corpus, number: "Flat")
