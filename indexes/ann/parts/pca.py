"""The D main directions of the vectors (principal components); no mean is subtracted."""

from __future__ import annotations

from ance_ir.indexes.ann.parts._part import Part

PART = Part(kind="dimensions", takes="D", needed=True, factory=lambda corpus, number: f"PCA{number}")
