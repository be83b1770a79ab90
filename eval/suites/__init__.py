"""How the field evaluates the collections that the paper uses: one module for each suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ance_ir import registries
from ance_ir.choices import check_choice
from ance_ir.datasets import Dataset, FileDataset, counts_itself
from ance_ir.errors import DatasetNotFoundError
from ance_ir.eval.suites._suite import PublishedFigure, Suite

__all__ = ["PublishedFigure", "SUITES", "Suite", "find_suite", "suite_of"]

SUITES: Mapping[str, Suite] = {suite.name: suite for suite in registries.SUITES.values()}


def find_suite(name: str) -> Suite:
    """The suite of a name, or of a dataset's name.

    Raises:
        UsageError: there is none.
    """
    return _suite_for(name) or SUITES[check_choice("suite", name, SUITES)]


def suite_of(dataset: Dataset, split: str = "test") -> Suite:
    """The suite of a dataset: its own, or a general one, for judgements if the split has any, else for answers.

    It has published figures only where they were measured on exactly these queries.

    Raises:
        DatasetNotFoundError: there is no such split, or it has neither judgements nor answers, or they cannot be downloaded; says what is
            needed and how large that is.
    """
    name = dataset.queries_name(split)
    suite = _suite_for(name) or _suite_for(dataset.name)
    if suite is not None:
        same = re.fullmatch(suite.published_on or suite.datasets, name)
        return suite if same and not isinstance(dataset, FileDataset) else replace(suite, published=())
    try:
        dataset.qrels(split)
        return replace(SUITES["judged"], counts_itself=counts_itself(dataset.name))
    except DatasetNotFoundError as error:
        try:
            dataset.answers(split)
        except DatasetNotFoundError:
            raise error from None
        return SUITES["answered"]


def _suite_for(name: str) -> Suite | None:
    if name in SUITES:
        return SUITES[name]
    return next((suite for suite in SUITES.values() if suite.datasets and re.fullmatch(suite.datasets, name)), None)
