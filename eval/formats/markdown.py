"""A table in Markdown, with a legend."""

from __future__ import annotations

from ance_ir.eval.grid import Tabular
from ance_ir.eval.tables import Table


def to_markdown(evaluation: Tabular) -> str:
    """The table and, below it, the legend."""
    grid = evaluation.grid()
    rows = [
        [*labels, *(f"{cell.text}{cell.mark}" for cell in row.cells)] for row, labels in zip(grid.rows, grid.shown_labels(), strict=True)
    ]
    header = [*grid.labels, *(column.name for column in grid.columns)]
    header, *rows = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    return f"{Table(header=header, rows=rows, left=len(grid.labels)).to_markdown()}\n\n{grid.legend}"


FORM = to_markdown
