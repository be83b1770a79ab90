"""``ance-ir eval`` over several datasets, or a benchmark."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ance_ir.eval import BenchmarkEvaluation


def evaluate(
    datasets: tuple[str, ...],
    benchmark: str | None,
    splits: tuple[str, ...],
    systems: tuple[str, ...],
    file: Path | None,
    run_files: tuple[str, ...],
    suite: str | None,
    out: Path,
    report: Path | None,
    form: str,
    **options: Any,
) -> None:
    """Evaluate, save, and show the table; see the command ``eval``.

    Raises:
        EvaluationError: at the end, if a collection could not be evaluated.
    """
    if run_files:
        raise click.UsageError("--run is a run on one dataset; evaluate it with that --dataset alone")
    if options.pop("model"):
        raise click.UsageError("--model is for an index, which holds one dataset; write ance[model=FOLDER] in place of the index")
    if benchmark is not None and splits:
        raise click.UsageError("--split is for --dataset; the collections of a benchmark have their splits")
    from ance_ir.errors import EvaluationError
    from ance_ir.eval import evaluate_on_datasets, find_benchmark, find_suite, format_evaluation, parse_measures
    from ance_ir.pipelines.systems import load_pipelines
    from ance_ir.processes import usable_cpus
    from ance_ir.training import environment
    from ance_ir.workflows.planning.estimates import announcing_evaluation

    if options["measures"]:
        parse_measures(options["measures"])
    found = evaluate_on_datasets(
        datasets if benchmark is None else find_benchmark(benchmark),
        systems,
        split=splits or "test",
        suite=find_suite(suite) if suite else None,
        pipelines=partial(load_pipelines, file) if file else None,
        out=out,
        report=report,
        settings={"environment": environment()},
        processes=usable_cpus(),
        announce=announcing_evaluation(partial(click.echo, err=True)),
        verbose=True,
        **options,
    )
    click.echo(format_evaluation(found, form))
    _say_more(found, out, report, quiet=form != "text")
    if found.missing:
        raise EvaluationError(
            f"not evaluated: {', '.join(found.missing)} (see the warnings above); the other results are in {out}. "
            "The same command evaluates what was missing, and uses their runs again"
        )


def _say_more(found: BenchmarkEvaluation, out: Path, report: Path | None, *, quiet: bool) -> None:
    """What was used again, the doctor's findings, and where everything is."""
    from ance_ir.eval import findings_text

    say = partial(click.echo, err=quiet)
    for result in found.results:
        if result.findings:
            say(f"\n{result.collection.name}\n{findings_text(result.findings)}")
    reused = [f"{result.collection.name} ({', '.join(result.reused)})" for result in found.results if result.reused]
    if reused:
        say(f"\nused again from {out}, with their times: {', '.join(reused)}")
    say(f"\nresults.json is in {out}, the runs and per_query.tsv are in its folders" + (f", the page is {report}" if report else ""))
