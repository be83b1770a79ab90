"""A page that shows an evaluation, query by query."""

from ance_ir.eval.report.page import write_report

__all__ = ["write_report"]
