"""How the field evaluates the collections that the paper uses: one module for each suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ance_ir import registries
from ance_ir.choices import check_choice
from ance_ir.datasets import Dataset, counts_itself
from ance_ir.errors import DatasetNotFoundError
from ance_ir.eval.published import PublishedFigure, published_figures
from ance_ir.eval.suites._suite import Suite

__all__ = ["SUITES", "Suite", "find_suite", "published_for", "suite_of", "suite_to_search"]

SUITES: Mapping[str, Suite] = {suite.name: suite for suite in registries.SUITES.values()}
"""The suites, by name."""


def find_suite(name: str) -> Suite:
    """The suite of a name, or of a dataset's name.

    Raises:
        UsageError: there is none.
    """
    return _suite_for(name) or SUITES[check_choice("suite", name, SUITES)]


def suite_of(dataset: Dataset, split: str = "test") -> Suite:
    """The suite of a dataset: its own, or a general one, for judgements if the split has any, else for answers.

    Raises:
        DatasetNotFoundError: there is no such split, or it has neither judgements nor answers, or they cannot be downloaded; says what is
            needed and how large that is.
    """
    name = dataset.queries_name(split)
    if suite := _suite_for(name) or _suite_for(dataset.name):
        return suite
    try:
        dataset.qrels(split)
        return replace(SUITES["judged"], counts_itself=counts_itself(dataset.name))
    except DatasetNotFoundError as error:
        try:
            dataset.answers(split)
        except DatasetNotFoundError:
            raise error from None
        return SUITES["answered"]


def suite_to_search(dataset: Dataset, split: str = "test") -> Suite:
    """The suite of a dataset; where nothing is judged, the general one."""
    try:
        return suite_of(dataset, split)
    except DatasetNotFoundError:
        return replace(SUITES["judged"], counts_itself=counts_itself(dataset.name))


def published_for(suite: Suite) -> tuple[PublishedFigure, ...]:
    """The figures that are published for the datasets of a suite."""
    return tuple(figure for figure in published_figures() if _suite_for(figure.dataset) is suite)


def _suite_for(name: str) -> Suite | None:
    if name in SUITES:
        return SUITES[name]
    return next((suite for suite in SUITES.values() if suite.datasets and re.fullmatch(suite.datasets, name)), None)
