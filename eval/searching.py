"""A run of a system for queries that need not be judged: what ``ance-ir search --system`` does."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import Dataset, counts_itself
from ance_ir.datasets.ids import clean_queries
from ance_ir.errors import DatasetError, DatasetNotFoundError
from ance_ir.eval.on_dataset import parser_for
from ance_ir.eval.runs.checks import check_run
from ance_ir.eval.suites import SUITES, Suite, suite_of
from ance_ir.models.compute.precision import Precision
from ance_ir.notices import examples
from ance_ir.pipelines.systems.tree import Node

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SystemRun:
    """A run, and what made it.

    Attributes:
        name: of the system.
        tree: its syntax tree.
        pipeline: what was run.
        run: frame of ``qid docno score rank``.
        queries: frame of ``qid query``.
        seconds: of the search; opening models and building what is missing do not count.
    """

    name: str
    tree: Node
    pipeline: pt.Transformer
    run: pd.DataFrame
    queries: pd.DataFrame
    seconds: float


def search_on_dataset(
    dataset: Dataset,
    system: str,
    queries: pd.DataFrame,
    *,
    split: str = "test",
    num_results: int = 1000,
    pipelines: Mapping[str, pt.Transformer] = MappingProxyType({}),
    device: str | None = None,
    model: str | None = None,
    precision: Precision | None = None,
    verbose: bool = False,
) -> SystemRun:
    """Run a system over a dataset's documents. Documents are cut, and BM25 is set, as the dataset's suite says where it has one.

    Args:
        dataset: its documents.
        system: an expression; see ``Systems``.
        queries: frame of ``qid`` and ``query``.
        split: whose run files and candidates are stages.
        num_results: documents a query.
        pipelines: the caller's own stages by name.
        device: where models compute.
        model: where the indexes' model is now, if it has moved.
        precision: what dense models compute in.
        verbose: show progress.

    Raises:
        UsageError: the text is no system.
        DatasetError: there are no queries, or a qid is none or comes twice.
        EvaluationError: the system does not return a run.
    """
    queries = check_queries(queries)
    settings: Any = {"device": device, "model": model, "precision": precision, "num_results": num_results, "verbose": verbose}
    systems = parser_for(dataset, split, _suite(dataset, split), pipelines, None, **settings)
    ((name, parsed),) = systems.read_all([system]).items()
    pipeline = systems.of_tree(parsed.tree, parsed.text)
    pipeline.transform(queries.head(1))
    start = time.perf_counter()
    results = pipeline.transform(queries)
    seconds = time.perf_counter() - start
    return SystemRun(name=name, tree=parsed.tree, pipeline=pipeline, run=check_run(results), queries=queries, seconds=seconds)


def check_queries(queries: pd.DataFrame) -> pd.DataFrame:
    """The queries to search with; a warning names those that are empty.

    Raises:
        DatasetError: there are none, or a qid is none or comes twice.
    """
    if queries.empty:
        raise DatasetError("there are no queries to search with")
    queries = clean_queries(queries, error=DatasetError)
    blank = queries["qid"][queries["query"].str.strip() == ""]
    if len(blank):
        logger.warning("%d of %d queries are empty (%s); their results are meaningless", len(blank), len(queries), examples(blank))
    return queries


def _suite(dataset: Dataset, split: str) -> Suite:
    """The dataset's own suite; where nothing is judged, the general one."""
    try:
        return suite_of(dataset, split)
    except DatasetNotFoundError:
        return replace(SUITES["judged"], counts_itself=counts_itself(dataset.name))
