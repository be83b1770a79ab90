"""A table for a terminal, with a legend."""

from __future__ import annotations

from ance_ir.eval.grid import Tabular


def to_text(evaluation: Tabular) -> str:
    """The table and, below it, the legend."""
    return evaluation.grid().to_text()


FORM = to_text
