"""From a dataset and the texts of systems to an evaluation: what ``ance-ir eval`` does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyterrier as pt

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, UsageError
from ance_ir.eval.evaluation import Evaluation
from ance_ir.eval.experiment import evaluate_systems
from ance_ir.eval.measures import Evidence, parse_measures, required_evidence
from ance_ir.eval.runs import read_run
from ance_ir.eval.runs.dataset_runs import dataset_runs
from ance_ir.eval.suites import Suite, suite_of
from ance_ir.models.compute.precision import Precision
from ance_ir.notices import collected
from ance_ir.pipelines import WithoutItself
from ance_ir.pipelines.systems import Systems


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
    processes: int = 1,
    verbose: bool = False,
    **options: Any,
) -> Evaluation:
    """Evaluate systems on a split of a dataset as its suite says.

    Args:
        dataset: what is searched and asked, or its name.
        systems: their texts; see ``Systems``. The runs that come with the dataset are stages too; see ``dataset_runs``.
        split: which queries.
        suite: how; by default the dataset's own, see ``suite_of``.
        measures: their names; by default the suite's.
        num_results: documents a query; by default the suite's depth.
        pipelines: the caller's own, stages by name; evaluated themselves where no system and no run is named.
        run_files: what systems found elsewhere, by name.
        device: where models compute.
        model: where the indexes' model is now, if it has moved.
        precision: what dense models compute in.
        processes: how many look for answers in texts, where a measure needs that.
        verbose: show progress.
        options: baseline, test, correction and kept, as for ``evaluate_systems``.

    Raises:
        DatasetNotFoundError: what the suite needs is not at hand: says what that is, how large, and where to put it.
        UsageError: a text is no system, or an unknown measure.
        EvaluationError: there is nothing to evaluate, or a system does not return a run.
    """
    if num_results is not None and num_results < 1:
        raise UsageError(f"num_results is at least 1, not {num_results}")
    with contextlib.ExitStack() as stack:
        notices = stack.enter_context(collected())
        if isinstance(dataset, str):
            dataset = load_dataset(dataset)
        suite = suite or suite_of(dataset, split)
        stack.enter_context(_what_it_needs(suite))
        measures = measures or suite.measures
        needed = required_evidence(parse_measures(measures))
        queries = dataset.queries(split)
        evidence = Evidence.of(dataset, split, processes=processes, verbose=verbose)
        qrels = dataset.qrels(split) if "qrels" in needed or (not needed and evidence.answers is None) else None
        found_before = dataset_runs(dataset, split)
        parser = Systems(
            dataset,
            num_results=num_results or suite.depth,
            device=device,
            model=model,
            precision=precision,
            pipelines={**(found_before if suite.counts_itself else _others(found_before)), **pipelines},
            passages=suite.passages,
            bm25=(suite.k1, suite.b),
            counts_itself=suite.counts_itself,
            verbose=verbose,
        )
        found = evaluate_systems(
            parser.parse_all(systems) if systems or run_files else pipelines,
            queries,
            qrels,
            measures,
            runs={name: read_run(path, queries=queries) for name, path in run_files.items()},
            evidence=evidence,
            judged_in_part=suite.judged_in_part,
            counts_itself=suite.counts_itself,
            verbose=verbose,
            **options,
        )
    return replace(found, notices=tuple(notices))


def _others(runs: Mapping[str, pt.Transformer]) -> dict[str, pt.Transformer]:
    return {name: WithoutItself(run) for name, run in runs.items()}


@contextlib.contextmanager
def _what_it_needs(suite: Suite) -> Iterator[None]:
    """While entered, data that is not at hand is told with what the suite needs."""
    try:
        yield
    except DatasetNotFoundError as error:
        if not suite.needs:
            raise
        raise DatasetNotFoundError(f"{suite.name} needs {suite.needs}. {error}") from error
