"""From a dataset and the texts of systems to an evaluation: what ``ance-ir eval`` does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyterrier as pt

from ance_ir.datasets import Dataset, FileDataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.measures import Evidence, parse_measures, required_evidence
from ance_ir.eval.runs import read_run
from ance_ir.eval.runs.dataset_runs import dataset_runs
from ance_ir.eval.suites import Suite, suite_of
from ance_ir.models.compute.precision import Precision
from ance_ir.notices import collected
from ance_ir.pipelines import Excluded, WithoutExcluded, WithoutItself
from ance_ir.pipelines.systems import OpenModels, Systems


def evaluate_on_dataset(
    dataset: Dataset | str,
    systems: Sequence[str],
    *,
    split: str = "test",
    suite: Suite | None = None,
    measures: Sequence[str] = (),
    num_results: int | None = None,
    pipelines: Mapping[str, pt.Transformer] = MappingProxyType({}),
    run_files: Mapping[str, Path] = MappingProxyType({}),
    device: str | None = None,
    model: str | None = None,
    precision: Precision | None = None,
    instruction: str = "",
    models: OpenModels | None = None,
    processes: int = 1,
    verbose: bool = False,
    **options: Any,
) -> Evaluation:
    """Evaluate systems on a split of a dataset as its suite says.

    Args:
        dataset: its documents and queries; or its name.
        systems: expressions; see ``Systems``. The runs that come with the dataset are stages too; see ``dataset_runs``.
        split: which queries.
        suite: how; by default the dataset's own, see ``suite_of``.
        measures: their names; by default the suite's.
        num_results: documents a query; by default the suite's depth.
        pipelines: the caller's own stages by name; evaluated themselves if neither systems nor runs are given.
        run_files: runs made elsewhere, by name.
        device: where models compute.
        model: where the indexes' model is now, if it has moved.
        precision: what dense models compute in.
        models: those that are open, to share them between datasets.
        instruction: what models that read instructions are told about the queries, where a system asks for that.
        processes: how many look for answers in texts, where a measure needs that.
        verbose: show progress.
        options: baseline, test, correction, kept and announce, as for ``evaluate_systems``.

    Raises:
        DatasetNotFoundError: data that the suite needs is not available: says what that is, how large, and where to put it.
        UsageError: a text is no system, or an unknown measure.
        EvaluationError: there is nothing to evaluate, or a system does not return a run.
    """
    with contextlib.ExitStack() as stack:
        notices = stack.enter_context(collected())
        dataset = load_dataset(dataset) if isinstance(dataset, str) else dataset
        suite = suite or suite_of(dataset, split)
        stack.enter_context(_naming_needs(suite, dataset))
        computing: Any = {"device": device, "model": model, "precision": precision, "instruction": instruction, "models": models}
        options |= {"judged_in_part": suite.judged_in_part, "counts_itself": suite.counts_itself, "verbose": verbose}
        evidence = Evidence.of(dataset, split, processes=processes, verbose=verbose)
        queries, qrels = _queries(dataset, split, measures or suite.measures, evidence)
        qrels, options["excluded"] = _excluded(qrels, suite)
        computing |= {"num_results": _depth(num_results, suite), "verbose": verbose}
        parser = parser_for(dataset, split, suite, pipelines, options["excluded"], **computing)
        parsed = parser.parse_all(systems) if systems or run_files else pipelines
        runs = {name: read_run(path, queries=queries) for name, path in run_files.items()}
        found = evaluate_systems(parsed, queries, qrels, measures or suite.measures, runs=runs, evidence=evidence, **options)
    return replace(found, notices=tuple(notices))


def _depth(num_results: int | None, suite: Suite) -> int:
    """Documents a query."""
    if num_results is not None and num_results < 1:
        raise UsageError(f"num_results must be at least 1, not {num_results}")
    return num_results or suite.depth


def _queries(dataset: Dataset, split: str, measures: Sequence[str], evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The queries of a split, and their qrels where measures need these."""
    needed = required_evidence(parse_measures(measures))
    judged = "qrels" in needed or (not needed and evidence.answers is None)
    return dataset.queries(split), dataset.qrels(split) if judged else None


def _excluded(qrels: pd.DataFrame | None, suite: Suite) -> tuple[pd.DataFrame | None, Excluded | None]:
    """The judgements that count, and the documents that do not."""
    if qrels is None or suite.excluded is None:
        return qrels, None
    out = (qrels["label"] == suite.excluded).to_numpy(dtype=bool)
    return (qrels[~out].reset_index(drop=True), Excluded(qrels[out])) if out.any() else (qrels, None)


def parser_for(
    dataset: Dataset, split: str, suite: Suite, pipelines: Mapping[str, pt.Transformer], excluded: Excluded | None, **options: Any
) -> Systems:
    """Reads systems as a suite says."""
    runs: Mapping[str, pt.Transformer] = dataset_runs(dataset, split)
    if excluded is not None:
        runs = {name: WithoutExcluded(run, excluded) for name, run in runs.items()}
    if not suite.counts_itself:
        runs = {name: WithoutItself(run) for name, run in runs.items()}
    bm25 = (suite.k1, suite.b)
    return Systems(
        dataset,
        pipelines={**runs, **pipelines},
        passages=suite.passages,
        bm25=bm25,
        counts_itself=suite.counts_itself,
        excluded=excluded,
        **options,
    )


@contextlib.contextmanager
def _naming_needs(suite: Suite, dataset: Dataset) -> Iterator[None]:
    """While entered, an error about missing data says what the suite needs, but where files of the user's lack something."""
    try:
        yield
    except DatasetNotFoundError as error:
        if not suite.needs or isinstance(dataset, FileDataset):
            raise
        raise DatasetNotFoundError(f"{suite.name} needs {suite.needs}. {error}") from error
