"""Training queries that are asked again where the trained model is evaluated."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import pandas as pd

from ance_ir.datasets import Dataset, FileDataset
from ance_ir.errors import DatasetNotFoundError
from ance_ir.eval.rankings import same_text
from ance_ir.notices import examples
from ance_ir.training import TrainingQueries
from ance_ir.workflows.dev import DevQueries

logger = logging.getLogger(__name__)

_FEW = 0.01
"""A smaller share of the queries of a split is usual, for questions repeat themselves; the doctor counts it all the same."""


def warn_of_shared_queries(
    dataset: Dataset, queries: TrainingQueries, split: str, dev: DevQueries | None = None, *, named: bool = False
) -> None:
    """Warn of training queries that are among the dev queries or those of the test split, by their texts.

    Args:
        dataset: whose test queries are looked at.
        queries: to train on.
        split: of this dataset that is trained on.
        dev: queries to evaluate on meanwhile.
        named: name the dataset, as there are several.

    Raises:
        DatasetNotFoundError: there are no such dev queries.
    """
    texts: dict[str, str] = {}
    for name, asked in _evaluated(dataset, split, dev, named):
        texts = texts or {same_text(text): qid for qid, text in zip(queries.qids, queries.texts, strict=True)}
        asked = asked.map(same_text)
        shared = [texts[text] for text in dict.fromkeys(asked) if text and text in texts]
        if len(shared) >= _FEW * len(asked) > 0:
            message = "%d of %d training queries are among those of split %r (%s): a model that is trained on them has seen their answers"
            logger.warning(message, len(shared), len(queries), name, examples(shared))


def _evaluated(dataset: Dataset, split: str, dev: DevQueries | None, named: bool) -> Iterator[tuple[str, pd.Series[str]]]:
    """The texts of the dev queries and of the test queries, after the name of their split."""
    of = f"{dataset.name}, " if named else ""
    if dev is not None:
        yield dev.name if dev.apart else f"{of}{dev.asked}", dev.queries()["query"]
        if dev.split == "test" and not dev.apart:
            return
    if dataset.has_split("test") and not _called_test(dataset, split):
        with contextlib.suppress(DatasetNotFoundError):  # they cannot be downloaded
            yield f"{of}test", dataset.queries("test")["query"]


def _called_test(dataset: Dataset, split: str) -> bool:
    """Whether the test split is nothing but another name of the training queries: an id of ``ir_datasets`` calls its own queries so."""
    name = dataset.queries_name("test")
    return not isinstance(dataset, FileDataset) and name == dataset.queries_name(split) and not name.endswith("/test")
