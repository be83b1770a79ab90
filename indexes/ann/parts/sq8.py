"""Scalar quantisation: 1 byte a dimension."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._part import Part

PART = Part(kind="storage", factory=lambda corpus, number: "SQ8")
