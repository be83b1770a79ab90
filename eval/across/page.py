"""The overview page of an evaluation over several collections; each has a page of its own, which it links to."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ance_ir.eval.across.evaluation import BenchmarkEvaluation
from ance_ir.eval.across.result import CollectionResult
from ance_ir.eval.report.frame import render
from ance_ir.eval.report.strokes import stroke
from ance_ir.eval.runs.kept import written_name
from ance_ir.files import as_path, atomic_open


def page_of(overview: Path | str, name: str) -> Path:
    """The file of a collection's page.

    Args:
        overview: the file of the overview.
        name: the collection's name.
    """
    overview = as_path(overview)
    return overview.with_name(f"{overview.stem}-pages") / f"{written_name(name)}.html"


def write_overview(path: Path | str, evaluation: BenchmarkEvaluation) -> None:
    """Write the overview, a self-contained file: the table, the collections with their pages, and what is missing.

    Args:
        path: the HTML file.
        evaluation: its collections' pages are where ``page_of`` says.
    """
    path = as_path(path)
    html = render(
        "ance_ir.eval.across/overview.html",
        title=evaluation.benchmark.name if evaluation.benchmark.name != "datasets" else _names(evaluation),
        evaluation=evaluation,
        grid=evaluation.grid(),
        parts=_parts(evaluation),
        links={result.collection.name: _link(path, result) for result in evaluation.results},
        strokes={system: stroke(number) for number, system in enumerate(evaluation.systems)},
        now=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )
    with atomic_open(path) as stream:
        stream.write(html)


def _names(evaluation: BenchmarkEvaluation) -> str:
    return ", ".join(collection.name for collection in evaluation.benchmark.collections)


def _link(overview: Path, result: CollectionResult) -> str:
    page = page_of(overview, result.collection.name)
    return f"{quote(page.parent.name)}/{quote(page.name)}"


def _parts(evaluation: BenchmarkEvaluation) -> list[dict[str, Any]]:
    """For each measure the rows of its table: ``label``, the ``name`` of the collection that it is, if any, its ``level``, and ``cells``;
    and the cells of the means and of the differences, each with the limits of its interval.
    """
    parts, averages = [], evaluation.mean().set_index(["measure", "system"])
    for measure in evaluation.measures:
        rows: list[dict[str, Any]] = []
        for unit in evaluation.units():
            single = unit.of == 1
            cells = evaluation.cells(unit.means(measure), differing=unit.differing(measure))
            rows.append({"label": unit.label, "name": unit.results[0].collection.name if single else None, "level": 0, "cells": cells})
            for result in () if single else unit.results:
                differing = {system for system, of in result.significant if of == measure}
                cells = evaluation.cells(result.means[measure], differing=differing)
                rows.append({"label": result.collection.name, "name": result.collection.name, "level": 1, "cells": cells})
        of = averages.loc[measure]
        means = list(zip(evaluation.cells(of["mean"]), of["low"], of["high"], strict=True))
        apart = None
        if evaluation.baseline is not None:
            signed = evaluation.cells(of["difference"], signed=True, leads=False)
            apart = list(zip(signed, of["difference_low"], of["difference_high"], strict=True))
        parts.append({"measure": measure, "rows": rows, "means": means, "apart": apart})
    return parts
