"""The first D dimensions, for models trained so; unit vectors are normalised again."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._part import Part

PART = Part(kind="dimensions", takes="D", needed=True, factory=lambda corpus, number: "")
