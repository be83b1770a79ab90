"""The page of an evaluation: a self-contained file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from ance_ir.datasets import DocumentStore
from ance_ir.eval.doctor import Finding
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.rankings import evaluated_qids
from ance_ir.eval.report.contents import contents, to_script
from ance_ir.eval.report.frame import part, render
from ance_ir.eval.report.sections import curves, differences
from ance_ir.eval.report.strokes import ink, stroke
from ance_ir.eval.tables import Table
from ance_ir.files import atomic_open

_SCRIPTS = ("base.js", "chart.js", "rankings.js", "queries.js")


def write_report(
    path: Path | str,
    evaluation: Evaluation,
    queries: pd.DataFrame,
    *,
    title: str,
    store: DocumentStore | None = None,
    findings: Sequence[Finding] = (),
    relevant: int = 1,
    published: Table | None = None,
) -> None:
    """Write a page of all figures, the doctor's findings, and each query with the systems' rankings.

    Args:
        path: the HTML file; its folder is made if need be.
        evaluation: what is shown.
        queries: frame with ``qid`` and ``query``.
        title: of the page, such as the dataset's name.
        store: the documents, whose texts are shown; those that it does not hold are shown by their docno.
        findings: from ``diagnose``.
        relevant: labels from this on are relevant.
        published: figures of others for the same queries.
    """

    def texts(docnos: Sequence[str]) -> list[Mapping[str, str] | None]:
        if store is None or not docnos:
            return [None] * len(docnos)
        return [store[int(number)] if number >= 0 else None for number in store.numbers(docnos)]

    strokes = {system: stroke(number) for number, system in enumerate(evaluation.per_query)}
    data = contents(evaluation, queries, texts, relevant)
    data["baseline"] = evaluation.baseline
    data["looks"] = [[ink(number), drawn] for number, drawn in enumerate(strokes.values())]
    script = "\n".join(["'use strict';", *map(part, _SCRIPTS)])
    html = render(
        "report.html",
        title=title,
        evaluation=evaluation,
        queries=len(evaluated_qids(evaluation)),
        now=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
        strokes=strokes,
        inks={system: ink(number) for number, system in enumerate(strokes)},
        differences=differences(evaluation),
        findings=findings,
        published=published,
        figures=curves(evaluation, relevant),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(to_script(data)),
    )
    with atomic_open(path) as stream:
        stream.write(html)
