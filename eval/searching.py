"""Runs of a system or an index for queries that need not be judged: what ``ance-ir search`` does."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import Dataset
from ance_ir.datasets.ids import clean_queries
from ance_ir.errors import DatasetError, DatasetNotFoundError, UsageError
from ance_ir.eval.on_dataset import parser_for
from ance_ir.eval.runs import RUN_FORMATS, write_passages, write_run
from ance_ir.eval.runs.checks import check_run
from ance_ir.eval.runs.files import check_tag
from ance_ir.eval.runs.metadata import measured, run_metadata, write_metadata
from ance_ir.eval.suites import suite_to_search
from ance_ir.files import as_path
from ance_ir.indexes import AnceIndex
from ance_ir.models.compute.precision import Precision
from ance_ir.notices import examples
from ance_ir.pipelines.systems.folders import open_index

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SystemRun:
    """A run, and what made it.

    Attributes:
        pipeline: what was run.
        run: frame of ``qid docno score rank``.
        queries: frame of ``qid query``.
        resources: that the search took, see ``ance_ir.eval.runs.metadata.measured``; to open models and to build what is missing does not
            count.
    """

    pipeline: pt.Transformer
    run: pd.DataFrame
    queries: pd.DataFrame
    resources: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """Where a run is written, and as what; checked before anything is searched.

    Attributes:
        path: gzipped if it ends in ``.gz``.
        tag: the run's name, one word.
        format: one of ``RUN_FORMATS``.
        dataset: what is searched, where that is known; formats with texts take them from it.
        split: whose answers formats with answers have.
        topics: where the queries are from, for the metadata.

    Raises:
        UsageError: there is no such format; it has texts, and there is no dataset; or no file can be written there.
        EvaluationError: the tag is no word.
    """

    path: Path
    tag: str = "ance_ir"
    format: str = "trec"
    dataset: Dataset | None = None
    split: str = "test"
    topics: str = ""

    def __post_init__(self) -> None:
        if RUN_FORMATS.find(self.format).entry is not None and self.dataset is None:
            raise UsageError(f"a run in the format {self.format} holds texts: name the dataset that they are from")
        check_tag(self.tag)
        folder = as_path(self.path).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.path}: the folder {folder} cannot be made: {error.strerror}") from error
        if not os.access(folder, os.W_OK):
            raise UsageError(f"{self.path}: no file can be written in {folder}")

    def write(self, found: SystemRun) -> Path:
        """Write a run, and its metadata next to it.

        Returns:
            The file of metadata; see ``write_metadata``.

        Raises:
            EvaluationError: the format cannot hold a qid or docno.
        """
        if RUN_FORMATS[self.format].entry is None:
            write_run(found.run, self.path, self.tag, self.format)
        else:
            assert self.dataset is not None
            write_passages(found.run, self.path, _answers(found.queries, self.dataset, self.split), self.dataset.store(), self.format)
        resources = {"queries": len(found.queries), "results": len(found.run), **found.resources}
        return write_metadata(self.path, run_metadata(self.tag, self.dataset, found.pipeline, resources=resources, topics=self.topics))


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
    _, pipeline = parser_for(dataset, split, suite_to_search(dataset, split), pipelines, None, **settings).parse(system)
    return _run(pipeline, queries)


def search_index(
    folder: Path | str,
    queries: pd.DataFrame,
    *,
    num_results: int = 1000,
    backend: str = "exact",
    aggregation: str = "max",
    device: str | None = None,
    model: str | None = None,
    precision: Precision | None = None,
) -> SystemRun:
    """Search an index of any kind: a dense or sparse one with the model that made it.

    Args:
        folder: the index's.
        queries: frame of ``qid`` and ``query``.
        num_results: documents a query.
        backend: how a dense one is searched, see ``DenseRetriever``.
        aggregation: how a document is scored by its passages, see there.
        device: where the model computes.
        model: where it is now, if it has moved.
        precision: what a dense one's model computes in.

    Raises:
        UsageError: an option is not for this kind of index.
        IndexingError: there is no index.
        ModelError: its model is not available.
        DatasetError: there are no queries, or a qid is none or comes twice.
    """
    queries = check_queries(queries)
    index = open_index(as_path(folder), device=device, model=model)
    if not isinstance(index, AnceIndex):
        if (backend, aggregation, precision) != ("exact", "max", None):
            raise UsageError(f"{folder} is no dense index: backend, aggregation and precision are for these alone")
        return _run(index.retriever(num_results=num_results), queries)
    opened = index.model(model, device, precision)
    return _run(index.retriever(opened, num_results=num_results, backend=backend, aggregation=aggregation), queries)


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


def _run(pipeline: pt.Transformer, queries: pd.DataFrame) -> SystemRun:
    pipeline.transform(queries.head(1))  # opens and builds what is missing
    with measured() as resources:
        results = pipeline.transform(queries)
    return SystemRun(pipeline=pipeline, run=check_run(results), queries=queries, resources=resources)


def _answers(queries: pd.DataFrame, dataset: Dataset, split: str) -> pd.DataFrame:
    """The queries with their answers; none where the dataset does not have them, or has that qid for another query."""
    try:
        known = dataset.answers(split).set_index(["qid", "query"])["answers"].to_dict()
    except DatasetNotFoundError:
        known = {}
    return queries[["qid", "query"]].assign(answers=[known.get(key, []) for key in zip(queries["qid"], queries["query"], strict=True)])
