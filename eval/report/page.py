"""The page of an evaluation: one file that needs no other and no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

import pandas as pd

from ance_ir.datasets import DocumentStore
from ance_ir.eval.doctor import Finding
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.rankings import evaluated_qids
from ance_ir.eval.report import sections
from ance_ir.eval.report.contents import contents, to_script
from ance_ir.eval.report.figures import ink, line_style
from ance_ir.eval.report.frame import part
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
) -> None:
    """Write a page of all figures, what the doctor found, and each query with the rankings that systems made of it.

    Args:
        path: the HTML file; its folder is made if need be.
        evaluation: what is shown.
        queries: frame with ``qid`` and ``query``.
        title: of the page, such as the dataset's name.
        store: the documents, whose texts are shown; those that it does not hold are shown by their docno.
        findings: from ``diagnose``.
        relevant: labels from this on are relevant.
    """

    def texts(docnos: Sequence[str]) -> list[Mapping[str, str] | None]:
        if store is None or not docnos:
            return [None] * len(docnos)
        return [store[int(number)] if number >= 0 else None for number in store.numbers(docnos)]

    told = contents(evaluation, queries, texts, relevant)
    told["baseline"] = evaluation.baseline
    told["looks"] = [[ink(number), line_style(number)] for number in range(len(evaluation.per_query))]
    script = "\n".join(["'use strict';", *map(part, _SCRIPTS)])
    systems = f"{len(evaluation.per_query)} system{'s' if len(evaluation.per_query) > 1 else ''}"
    html = Template(part("report.html")).substitute(
        title=escape(title),
        about=f"{len(evaluated_qids(evaluation)):,} queries, {systems}, {datetime.now().astimezone():%Y-%m-%d %H:%M}",
        style=part("frame.css") + part("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=to_script(told),
        summary=sections.summary(evaluation) + sections.comparison(evaluation),
        findings=sections.findings(findings) + sections.notices(evaluation),
        curves=sections.curves(evaluation, relevant),
        speed=sections.speed(evaluation),
    )
    with atomic_open(path) as stream:
        stream.write(html)
