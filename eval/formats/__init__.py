"""The table of an evaluation for papers, pages and programs: one module for each form."""

from __future__ import annotations

from collections.abc import Callable

from ance_ir import registries
from ance_ir.eval.grid import Tabular
from ance_ir.registry import Registry

__all__ = ["FORMS", "format_evaluation"]

FORMS: Registry[Callable[[Tabular], str]] = registries.TABLE_FORMS


def format_evaluation(evaluation: Tabular, form: str) -> str:
    """The table of an evaluation, of one collection or of several: means, with marks where a system differs from the baseline.

    Args:
        evaluation: its table is written.
        form: one of ``FORMS``: ``"text"``, ``"markdown"``, ``"latex"``, ``"json"`` or ``"csv"``; their modules describe them.

    Raises:
        UsageError: there is no such form.
    """
    return FORMS.find(form)(evaluation)
