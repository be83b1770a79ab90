"""The doctor and the report, given an evaluation on a dataset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ance_ir.datasets import Dataset
from ance_ir.errors import DatasetNotFoundError
from ance_ir.eval.doctor import Finding, diagnose
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.report import write_report
from ance_ir.eval.suites import Suite

_GENERAL = ("judged", "answered")
"""Suites of collections whose makers are not known to have named a threshold."""


def examine(evaluation: Evaluation, dataset: Dataset, split: str, suite: Suite, report: Path | str | None = None) -> list[Finding]:
    """What the doctor finds in an evaluation on a dataset's split, whose training queries and answers it looks at too.

    Args:
        evaluation: on that split.
        dataset: what was searched.
        split: which of its queries were asked.
        suite: how; its threshold tells which labels are relevant, unless it is a general one.
        report: where a page of all is written, with the texts of documents; ``None`` for nowhere.
    """
    queries = dataset.queries(split)
    findings = diagnose(
        evaluation,
        queries,
        relevant=None if suite.name in _GENERAL else suite.threshold,
        training=dataset.queries("train")["query"] if "train" in dataset.splits and split != "train" else None,
        answers=_answers(dataset, split),
        documents=lambda: len(dataset.store()),
    )
    if report is not None:
        title = dataset.name if split == "test" else f"{dataset.name}, {split}"
        write_report(report, evaluation, queries, title=title, store=dataset.store(), findings=findings, relevant=suite.threshold)
    return findings


def _answers(dataset: Dataset, split: str) -> pd.DataFrame | None:
    try:
        return dataset.answers(split)
    except DatasetNotFoundError:
        return None
