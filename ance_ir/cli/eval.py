"""``ance-ir eval``."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ance_ir.cli._options import UserPath, dataset_option, device_option, precision_option
from ance_ir.registries import TABLE_FORMS

if TYPE_CHECKING:
    from ance_ir.eval.significance import Correction, Test
    from ance_ir.models.compute.precision import Precision

logger = logging.getLogger(__name__)

EXAMPLE = """
\b
Example:
  ance-ir eval --dataset python-stdlib --system bm25 --system dense=stdlib.ance \\
               --system "cascade=bm25 % 100 >> stdlib.ance" --baseline bm25 --out results --report results/report.html
  ance-ir eval --dataset python-stdlib --system bm25 --system "ance-firstp[model=all-MiniLM-L6-v2]" --pipelines mine.py --system mine
  ance-ir eval --dataset msmarco-mini --split dl19 --suite trec-dl-2019 --run theirs.trec.gz --system bm25 --baseline bm25
"""


@click.command("eval", short_help="Evaluate systems on a dataset", epilog=EXAMPLE)
@dataset_option
@click.option("--split", default="test", show_default=True, help="Which queries.")
@click.option(
    "--system",
    "systems",
    multiple=True,
    metavar="[NAME=]SYSTEM",
    help="bm25, an index, a name that `ance-ir systems` shows, or an expression of them; may be repeated.",
)
@click.option(
    "--pipelines",
    "file",
    type=UserPath(exists=True, dir_okay=False),
    metavar="FILE.py",
    help="Pipelines of your own: it is run, and its function pipelines(dataset) returns them by name.",
)
@click.option(
    "--run",
    "run_files",
    multiple=True,
    metavar="[NAME=]FILE",
    help="What a system found elsewhere: a run of TREC, MS MARCO, DPR or Pyserini; may be repeated.",
)
@click.option("--baseline", metavar="NAME", help="The system that the others are compared with.")
@click.option("--test", type=click.Choice(["t", "randomisation", "wilcoxon"]), default="t", show_default=True, help="Of the differences.")
@click.option("--correction", type=click.Choice(["holm", "bonferroni"]), default="holm", show_default=True, help="For the number of tests.")
@click.option("--suite", metavar="NAME", help="Evaluate as `ance-ir suites` tells of this one.  [default: the dataset's own]")
@click.option("--measure", "measures", multiple=True, metavar="MEASURE", help="As ir_measures names it.  [default: the suite's]")
@click.option("-k", "--num-results", type=click.IntRange(min=1), help="Documents a query.  [default: the suite's depth]")
@click.option("--out", type=UserPath(), default=Path("results"), show_default=True, help="Where everything is written.")
@click.option("--report", type=UserPath(dir_okay=False), metavar="FILE.html", help="Write a page of all this, query by query.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(TABLE_FORMS)),
    default="text",
    show_default=True,
    help="Form of the table.",
)
@click.option("--model", help="Where the indexes' model is now, if it has moved.")
@precision_option
@device_option
def command(
    dataset: str,
    split: str,
    systems: tuple[str, ...],
    file: Path | None,
    run_files: tuple[str, ...],
    baseline: str | None,
    test: Test,
    correction: Correction,
    suite: str | None,
    measures: tuple[str, ...],
    num_results: int | None,
    out: Path,
    report: Path | None,
    form: str,
    model: str | None,
    precision: Precision | None,
    device: str | None,
) -> None:
    """Evaluate systems on a dataset.

    A system is stages joined by >>, each with % and a number after it to cut: bm25, x.ance, "bm25 % 100 >> x.ance",
    "bm25 % 100 >> runs/bert". The first stage retrieves, those after it (indexes, rerankers) score what it found. "bm25 + 1.1 * x.ance",
    "rrf(bm25, x.ance)" fuse; "run.NAME" is the dataset's file run.NAME[.SPLIT].txt. `ance-ir systems` shows what else has a name. Without
    --system and --run, all of --pipelines are evaluated.

    Measures, depth and the like are those of the dataset's suite (see `ance-ir suites`). Coverage@k needs a split with answers, and takes
    all its questions, judged or not.

    The means are shown, and with a baseline each difference from it; they, the values of each query, and the runs are written to --out. A
    run that stands there and was made of the same queries, models and indexes is used again. What makes the figures doubtful is told
    after them. With another --format only the table goes to the standard output.
    """
    if not systems and not run_files and file is None:
        raise click.UsageError("name a system with --system, a file with --run, or a file of pipelines with --pipelines")
    from ance_ir import load_dataset
    from ance_ir.errors import AnceError, EvaluationError
    from ance_ir.eval import (
        KeptRuns,
        diagnose_on_dataset,
        evaluate_on_dataset,
        find_suite,
        findings_text,
        format_evaluation,
        parse_measures,
        report_on_dataset,
        suite_of,
    )
    from ance_ir.pipelines.systems import load_pipelines
    from ance_ir.processes import usable_cpus
    from ance_ir.training import environment

    if measures:
        parse_measures(measures)
    told_suite = find_suite(suite) if suite else None
    for option, folder in (("--out", out), *((("--report", report.parent),) if report else ())):
        _made_writable(option, folder)
    source = load_dataset(dataset)
    used = told_suite or suite_of(source, split)
    own = load_pipelines(file, source) if file else {}
    evaluated = [*(systems or (() if run_files else own)), *run_files]
    told = {"dataset": source.name, "fingerprint": source.fingerprint, "split": split, "suite": used.name, "systems": evaluated}
    _warn_of_replacing(out, told)
    found = evaluate_on_dataset(
        source,
        systems,
        split=split,
        suite=used,
        measures=measures,
        num_results=num_results,
        pipelines=own,
        run_files=_named(run_files),
        device=device,
        model=model,
        precision=precision,
        processes=usable_cpus(),
        baseline=baseline,
        test=test,
        correction=correction,
        kept=KeptRuns(out / "runs"),
        verbose=True,
    )

    def say(text: str) -> None:
        click.echo(text, err=form != "text")

    if found.reused:
        say(f"used again from {out / 'runs'}, with the times of then: {', '.join(found.reused)}")
    try:  # before anything that could fail: what was computed is kept, and shown at least
        found.save(out, {**told, "k": num_results or used.depth, "environment": environment()})
    finally:
        click.echo(format_evaluation(found, form))
    saved = f"results.json, per_query.tsv and runs/ are in {out}"
    if form == "text" and (compared := found.comparison_text()):
        say(f"\n{compared}")
    if not told_suite and (published := used.published_table()):
        say(f"\n{published.to_text()}")
    if findings := diagnose_on_dataset(found, source, split, used):
        say(f"\n{findings_text(findings)}")
    if report:
        try:
            report_on_dataset(found, source, split, used, findings, report)
        except (AnceError, OSError) as error:
            raise EvaluationError(f"{report} could not be written ({error}); {saved}") from error
    say(saved + (f", the page is {report}" if report else ""))


def _warn_of_replacing(out: Path, told: Mapping[str, Any]) -> None:
    """Warn of a folder that holds the results of something else than what is told of."""
    from ance_ir.errors import DatasetError
    from ance_ir.files import read_json

    try:
        before = read_json(out / "results.json")["settings"]
        same = all(before[name] == told[name] for name in ("dataset", "split", "systems"))
        about = f"{', '.join(map(str, before['systems']))} on {before['dataset']}, {before['split']}"
    except (OSError, DatasetError, LookupError, TypeError):
        return
    if not same:
        logger.warning("%s holds other results (%s); they are replaced, the runs that they came from stay in %s", out, about, out / "runs")


def _made_writable(option: str, folder: Path) -> None:
    """Make a folder, before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "it cannot be written to")
    except OSError as error:
        raise click.UsageError(f"{option}: no file can be written in {folder}: {error.strerror}") from error


def _named(files: tuple[str, ...]) -> dict[str, Path]:
    """The files of ``[NAME=]FILE``, by name; by default that of the file without its endings."""
    from ance_ir.files import as_path

    named: dict[str, Path] = {}
    for text in files:
        name, separator, file = ("", "", text) if as_path(text).exists() else text.partition("=")
        path = as_path(file if separator else text)
        name = name or path.name.removesuffix(".gz").rsplit(".", 1)[0]
        if not path.is_file():
            raise click.UsageError(f"--run {text}: there is no file {path}")
        if name in named:
            raise click.UsageError(f"two runs are called {name!r}; name them: --run NAME={path}")
        named[name] = path
    return named
