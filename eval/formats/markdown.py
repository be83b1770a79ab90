"""A table in Markdown, with a legend."""

from __future__ import annotations

from ance_ir.eval.evaluation import TIME, Evaluation, marked
from ance_ir.eval.tables import Table


def to_markdown(evaluation: Evaluation) -> str:
    """The table and, below it, the legend."""
    rows = [[row.system, *(f"{mean.value:.4f}{marked(mean)}" for mean in row.means.values()), row.time] for row in evaluation.rows()]
    header, *rows = [[cell.replace("|", "\\|") for cell in row] for row in (["system", *evaluation.measures, TIME], *rows)]
    return f"{Table(header=header, rows=rows).to_markdown()}\n\n{evaluation.legend()}"


FORM = to_markdown
