"""Means with all their digits in CSV; where there is a baseline, a column of marks follows each measure."""

from __future__ import annotations

import csv
import io

from ance_ir.eval.grid import Cell, Tabular


def to_csv(evaluation: Tabular) -> str:
    """Lines without a legend."""
    grid = evaluation.grid()
    marked = [column.marked and grid.compared for column in grid.columns]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header = [(column.name, f"{column.name} mark") for column in grid.columns]
    for labels, pairs in [(grid.labels, header), *((row.labels, [(_digits(cell), cell.mark) for cell in row.cells]) for row in grid.rows)]:
        cells = [cell for pair, both in zip(pairs, marked, strict=True) for cell in pair[: 1 + both]]
        writer.writerow([*labels, *cells])
    return stream.getvalue().removesuffix("\n")


def _digits(cell: Cell) -> str:
    return "" if cell.value is None or cell.value != cell.value else repr(cell.value)


FORM = to_csv
