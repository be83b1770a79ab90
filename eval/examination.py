"""The doctor and the report of an evaluation on a dataset."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ance_ir.datasets import Dataset, FileDataset
from ance_ir.datasets.languages import foreign_language
from ance_ir.errors import AnceError, DatasetNotFoundError
from ance_ir.eval.doctor import Finding, Findings, diagnose
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.published import published_on, published_table
from ance_ir.eval.report import write_report
from ance_ir.eval.suites import Suite

_QUICK = 64 << 20
"""Bytes of a corpus whose store is built in seconds."""

logger = logging.getLogger(__name__)

_GENERAL = ("judged", "answered")
"""Suites of collections whose authors may have named no threshold."""


def diagnose_on_dataset(evaluation: Evaluation, dataset: Dataset, split: str, suite: Suite, report: Path | str | None = None) -> Findings:
    """Diagnose an evaluation on a dataset's split, with its training queries and answers.

    Args:
        evaluation: on that split.
        dataset: what was searched.
        split: whose queries.
        suite: how; its threshold says which labels are relevant, unless it is a general one.
        report: the HTML file of a page, see ``report_on_dataset``; by default none is written.

    Returns:
        The findings; none, with a warning, where the data cannot be read.
    """
    try:
        findings = diagnose(
            evaluation,
            dataset.queries(split),
            relevant=None if suite.name in _GENERAL else suite.threshold,
            training=_training(dataset, split),
            answers=_answers(dataset, split),
            documents=lambda: len(dataset.store()),
            language=lambda: foreign_language(dataset),
            unknown=(lambda docnos: docnos[dataset.store().numbers(docnos.tolist()) < 0]) if _at_hand(dataset) else None,
        )
    except (AnceError, OSError) as error:
        logger.warning("the doctor could not check the evaluation: %s", error)
        findings = Findings()
    if report is not None:
        report_on_dataset(evaluation, dataset, split, suite, findings, report)
    return findings


def report_on_dataset(
    evaluation: Evaluation, dataset: Dataset, split: str, suite: Suite, findings: Sequence[Finding], path: Path | str
) -> None:
    """Write the page of an evaluation on a dataset's split, with documents' texts where these can be read.

    Args:
        evaluation: on that split.
        dataset: what was searched.
        split: whose queries.
        suite: how.
        findings: of ``diagnose_on_dataset``.
        path: the HTML file.
    """
    title = dataset.name if split == "test" else f"{dataset.name}, {split}"
    try:
        store = dataset.store()
    except (AnceError, OSError) as error:
        logger.warning("the page shows docnos in place of the documents' texts: %s", error)
        store = None
    figures = published_on(dataset, split)
    write_report(
        path,
        evaluation,
        dataset.queries(split),
        title=title,
        store=store,
        findings=findings,
        relevant=suite.threshold,
        published=published_table(figures) if figures else None,
    )


def _at_hand(dataset: Dataset) -> bool:
    """Whether its documents can be looked up by docno at once, or after seconds."""
    return dataset.has_store or (isinstance(dataset, FileDataset) and dataset.corpus_bytes <= _QUICK)


def _training(dataset: Dataset, split: str) -> pd.Series[str] | None:
    try:
        return dataset.queries("train")["query"] if "train" in dataset.splits and split != "train" else None
    except DatasetNotFoundError:  # they cannot be downloaded
        return None


def _answers(dataset: Dataset, split: str) -> pd.DataFrame | None:
    try:
        return dataset.answers(split)
    except DatasetNotFoundError:
        return None
