"""A table for a terminal, with a legend."""

from __future__ import annotations

from ance_ir.eval.evaluation import Evaluation

FORM = Evaluation.to_text
