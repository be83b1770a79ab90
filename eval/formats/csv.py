"""Means with all their digits in CSV; where there is a baseline, a column of marks follows each measure."""

from __future__ import annotations

import csv
import io

from ance_ir.eval.evaluation import TIME, Evaluation, marked


def to_csv(evaluation: Evaluation) -> str:
    """Lines without a legend."""
    compared = evaluation.comparison is not None
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["system", *_each(evaluation.measures, [f"{measure} mark" for measure in evaluation.measures], compared), TIME])
    for row in evaluation.rows():
        means = row.means.values()
        cells = _each([_digits(mean.value) for mean in means], [marked(mean) for mean in means], compared)
        writer.writerow([row.system, *cells, _digits(row.ms_per_query)])
    return stream.getvalue().removesuffix("\n")


def _each(values: list[str], marks: list[str], compared: bool) -> list[str]:
    """The values, each followed by its mark where systems are compared."""
    return [cell for pair in zip(values, marks, strict=True) for cell in pair] if compared else values


def _digits(value: float | None) -> str:
    return "" if value is None or value != value else repr(value)


FORM = to_csv
