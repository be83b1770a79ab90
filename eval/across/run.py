"""From several datasets, or a benchmark, and the texts of systems to one evaluation: what ``ance-ir eval`` does with several datasets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyterrier as pt
from tqdm.auto import tqdm

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import AnceError, DatasetError, EvaluationError, IndexingError, UsageError
from ance_ir.eval.across.evaluation import BenchmarkEvaluation
from ance_ir.eval.across.page import page_of, write_overview
from ance_ir.eval.across.result import CollectionResult
from ance_ir.eval.benchmarks import Benchmark, Collection, benchmark_of
from ance_ir.eval.examination import diagnose_on_dataset
from ance_ir.eval.on_dataset import evaluate_on_dataset
from ance_ir.eval.runs.kept import KeptRuns, written_name
from ance_ir.eval.significance import Correction, Test, check_test
from ance_ir.eval.suites import Suite, find_suite, suite_of
from ance_ir.files import as_path
from ance_ir.pipelines.systems import OpenModels, Systems, check_serves_several

logger = logging.getLogger(__name__)

Pipelines = Callable[[Dataset], Mapping[str, pt.Transformer]]


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A collection whose queries are at hand."""

    collection: Collection
    dataset: Dataset
    suite: Suite


def evaluate_on_datasets(
    datasets: Sequence[Dataset | str] | Benchmark,
    systems: Sequence[str],
    *,
    split: str | Sequence[str] = "test",
    suite: Suite | None = None,
    measures: Sequence[str] = (),
    pipelines: Pipelines | None = None,
    baseline: str | None = None,
    test: Test = "t",
    correction: Correction = "holm",
    out: Path | str | None = None,
    report: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    verbose: bool = False,
    **options: Any,
) -> BenchmarkEvaluation:
    """Evaluate systems on several collections.

    A collection that cannot be read, or on which a system fails, is ``missing`` with the reason; the others are evaluated.

    Args:
        datasets: or their names; or a benchmark, see ``find_benchmark``.
        systems: expressions without indexes, which hold one collection; ``ance[model=M]`` makes and keeps one of each.
        split: of all datasets, or one of each; a benchmark has its own.
        suite: how each is evaluated; by default the benchmark's, or the dataset's own.
        measures: their names; by default the benchmark's, or the suite's.
        pipelines: gives the caller's own stages by name, for a dataset; evaluated themselves if there are no systems.
        baseline: the system with which the others are compared.
        test: of the differences on each collection; see ``compare``.
        correction: of the tests on each collection; see ``compare``.
        out: a folder with one for each collection (see ``Evaluation.save``), whose runs are used again as ``KeptRuns`` says.
        report: the HTML file of an overview; ``page_of`` says where the collections' own pages are.
        settings: for ``results.json``, in addition to those of the evaluation.
        verbose: show progress.
        options: as for ``evaluate_on_dataset``.

    Raises:
        UsageError: a text is no system, or names an index; two collections have one name; or they have no measure in common.
        DatasetNotFoundError: there is no dataset of a name.
        EvaluationError: no collection could be evaluated.
    """
    check_test(test, correction)
    benchmark = datasets if isinstance(datasets, Benchmark) else benchmark_of(datasets, _splits(split, len(datasets)))
    measures = measures or benchmark.measures
    ready, missing = _prepare(benchmark, suite or (find_suite(benchmark.suite) if benchmark.suite else None))
    if ready:
        _check_systems(ready[0].dataset, systems, baseline)
    common = _common(ready, measures)
    shared = {**options, "measures": measures, "models": OpenModels(), "verbose": verbose}
    compared: Any = {"baseline": baseline, "test": test, "correction": correction}
    work = _Work(systems=systems, pipelines=pipelines, out=out, report=report, settings=settings or {}, options={**shared, **compared})
    results = work.evaluate_all(ready, missing)
    found = BenchmarkEvaluation(benchmark=benchmark, results=results, missing=missing, measures=common, **compared)
    if out is not None:
        found.save(out, settings)
    if report is not None:
        write_overview(report, found)
    return found


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What is done with each collection; the attributes are arguments of ``evaluate_on_datasets``."""

    systems: Sequence[str]
    pipelines: Pipelines | None
    out: Path | str | None
    report: Path | str | None
    settings: Mapping[str, Any]
    options: Mapping[str, Any]

    def evaluate_all(self, ready: Sequence[_Ready], missing: dict[str, str]) -> list[CollectionResult]:
        """Evaluate the collections; those that fail are added to the missing ones.

        Raises:
            EvaluationError: all fail.
        """
        results = []
        with tqdm(ready, desc="collections", disable=not self.options["verbose"]) as bar:
            for one in bar:
                bar.set_postfix_str(one.collection.name)
                try:
                    results.append(self.evaluate(one))
                except (DatasetError, EvaluationError, IndexingError) as error:
                    _leave_out(missing, one.collection, error)
        if not results:
            first, why = next(iter(missing.items()))
            raise EvaluationError(f"none of the {len(missing)} collections could be evaluated; {first}: {why}")
        return results

    def evaluate(self, one: _Ready) -> CollectionResult:
        """Evaluate a collection, and write its results and its page."""
        collection, dataset = one.collection, one.dataset
        folder = None if self.out is None else as_path(self.out) / written_name(collection.name)
        found = evaluate_on_dataset(
            dataset,
            self.systems,
            split=collection.split,
            suite=one.suite,
            pipelines={} if self.pipelines is None else self.pipelines(dataset),
            instruction=collection.instruction,
            kept=None if folder is None else KeptRuns(folder / "runs"),
            **self.options,
        )
        if folder is not None:
            about: dict[str, Any] = {"dataset": dataset.name, "fingerprint": dataset.fingerprint, "split": collection.split}
            about |= {"suite": one.suite.name, "systems": list(found.runs), "k": self.options.get("num_results") or one.suite.depth}
            found.save(folder, {**self.settings, **about})
        page = None if self.report is None else page_of(self.report, collection.name)
        findings = diagnose_on_dataset(found, dataset, collection.split, one.suite, page)
        return CollectionResult.of(collection, dataset.name, found, findings)


def _splits(split: str | Sequence[str], count: int) -> list[str]:
    """The split of each of so many datasets."""
    splits = [split] if isinstance(split, str) else list(split)
    if len(splits) not in (1, count):
        raise UsageError(f"expected one split, or one for each of the {count} datasets, found {len(splits)}: {', '.join(splits)}")
    return splits * (count if len(splits) == 1 else 1)


def _prepare(benchmark: Benchmark, suite: Suite | None) -> tuple[list[_Ready], dict[str, str]]:
    """The collections that are there, and why the others are not."""
    ready: list[_Ready] = []
    missing: dict[str, str] = {}
    for collection in benchmark.collections:
        try:
            dataset = load_dataset(collection.dataset) if isinstance(collection.dataset, str) else collection.dataset
            ready.append(_Ready(collection=collection, dataset=dataset, suite=suite or suite_of(dataset, collection.split)))
        except DatasetError as error:
            _leave_out(missing, collection, error)
    return ready, missing


def _leave_out(missing: dict[str, str], collection: Collection, error: AnceError) -> None:
    missing[collection.name] = str(error)
    logger.warning("%s is not evaluated: %s", collection.name, error)


def _check_systems(dataset: Dataset, systems: Sequence[str], baseline: str | None) -> None:
    """Refuse, before any work, what no collection can be evaluated with."""
    read = Systems(dataset).read_all(systems)
    for system in read.values():
        check_serves_several(system)
    if read and baseline is not None and baseline not in read:
        raise EvaluationError(f"the baseline {baseline!r} is none of the systems: {', '.join(read)}")


def _common(ready: Sequence[_Ready], measures: Sequence[str]) -> Sequence[str]:
    """The measures that all collections have."""
    if measures or not ready:
        return measures
    common = [measure for measure in ready[0].suite.measures if all(measure in one.suite.measures for one in ready)]
    if not common:
        each = "; ".join(f"{one.collection.name}: {' '.join(one.suite.measures)}" for one in ready)
        raise UsageError(f"the collections have no measure in common ({each}); name one that all of them can have, such as nDCG@10")
    return common
