"""The table of an evaluation for papers, pages and programs: one module for each form."""

from __future__ import annotations

from collections.abc import Callable

from ance_ir import registries
from ance_ir.eval.evaluation import Evaluation
from ance_ir.registry import Registry

__all__ = ["FORMS", "format_evaluation"]

FORMS: Registry[Callable[[Evaluation], str]] = registries.TABLE_FORMS


def format_evaluation(evaluation: Evaluation, form: str) -> str:
    """The means of each system, with marks where it differs from the baseline, and its time.

    Args:
        evaluation: its table is written.
        form: one of ``FORMS``: ``"text"``, ``"markdown"``, ``"latex"``, ``"json"`` or ``"csv"``; their modules describe them.

    Raises:
        UsageError: there is no such form.
    """
    return FORMS.find(form)(evaluation)
