"""``ance-ir eval``: its options, handed to ``ance_ir.eval.on_dataset``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ance_ir.cli import _several as several
from ance_ir.cli._options import DATASET, UserPath, column_option, device_option, named_columns, or_standard_input, precision_option
from ance_ir.registries import BENCHMARKS, RUN_FORMATS, TABLE_FORMS

if TYPE_CHECKING:
    from ance_ir.datasets import Dataset
    from ance_ir.eval import Evaluation, Suite

F = TypeVar("F", bound=Callable[..., Any])
logger = logging.getLogger(__name__)

EXAMPLE = """
\b
Example:
  ance-ir eval --dataset python-stdlib --system bm25 --system dense=stdlib.ance \\
               --system "cascade=bm25 % 100 >> stdlib.ance" --baseline bm25 --out results --report results/report.html
  ance-ir eval --dataset python-stdlib --system bm25 --system "ance-firstp[model=all-MiniLM-L6-v2]" --pipelines mine.py --system mine
  ance-ir eval --dataset msmarco-mini --split dl19 --suite trec-dl-2019 --run theirs.trec.gz --system bm25 --baseline bm25
  ance-ir eval --dataset medquad --dataset nfcorpus --system bm25 --system "dense=ance[model=all-MiniLM-L6-v2]" --baseline bm25
  ance-ir eval --benchmark nano-beir --system bm25 --system "e5=ance[model=E5; instructions=yes]" --report nano.html
"""


def system_options(command: F) -> F:
    """``--system``, ``--pipelines`` and ``--run``."""
    systems = click.option(
        "--system",
        "systems",
        multiple=True,
        metavar="[NAME=]SYSTEM",
        help="bm25, an index, a name that `ance-ir systems` shows, or an expression of them; may be repeated.",
    )
    pipelines = click.option(
        "--pipelines",
        "file",
        type=UserPath(exists=True, dir_okay=False),
        metavar="FILE.py",
        help="Your own pipelines: the file is run, and its function pipelines(dataset) returns them by name.",
    )
    formats = ", ".join(RUN_FORMATS.summary(name).partition(":")[0] for name in RUN_FORMATS)
    runs = click.option(
        "--run",
        "run_files",
        multiple=True,
        metavar="[NAME=]FILE",
        help=f"A run made elsewhere; formats: {formats}. May be repeated.",
    )
    return systems(pipelines(runs(command)))


def comparison_options(command: F) -> F:
    """``--baseline``, ``--test`` and ``--correction``."""
    baseline = click.option("--baseline", metavar="NAME", help="The system that the others are compared with.")
    kinds = click.Choice(["t", "randomisation", "wilcoxon"])
    test = click.option("--test", type=kinds, default="t", show_default=True, help="Test of the differences.")
    correction = click.option(
        "--correction", type=click.Choice(["holm", "bonferroni"]), default="holm", show_default=True, help="For the number of tests."
    )
    return baseline(test(correction(command)))


def output_options(command: F) -> F:
    """``--out``, ``--report`` and ``--format``."""
    out = click.option("--out", type=UserPath(), default=Path("results"), show_default=True, help="The folder of the results.")
    report = click.option("--report", type=UserPath(dir_okay=False), metavar="FILE.html", help="Write a page of all results.")
    form = click.option("--format", "form", type=click.Choice(list(TABLE_FORMS)), default="text", show_default=True, help="Of the table.")
    return out(report(form(command)))


def collection_options(command: F) -> F:
    """``--dataset``, ``--benchmark``, ``--column`` and ``--split``."""
    dataset = click.option(
        "--dataset",
        "datasets",
        multiple=True,
        metavar="D",
        callback=named_columns,
        help=f"{DATASET} May be repeated: one table, with the mean over the datasets.",
    )
    known = "; ".join(f"{name}: {BENCHMARKS.summary(name)}" for name in BENCHMARKS)
    benchmark = click.option(
        "--benchmark",
        metavar="NAME",
        help=f"The collections of a benchmark, in place of --dataset; or your own list, a file in .toml. {known}.",
    )
    split = click.option(
        "--split", "splits", multiple=True, help="Which queries; with several datasets one for all, or one for each.  [default: test]"
    )
    return dataset(benchmark(column_option(split(command))))


@click.command("eval", short_help="Evaluate systems on a dataset, or on several", epilog=EXAMPLE)
@collection_options
@system_options
@comparison_options
@click.option("--suite", metavar="NAME", help="Evaluate as this suite says; see `ance-ir suites`.  [default: the dataset's own]")
@click.option("--measure", "measures", multiple=True, metavar="MEASURE", help="As ir_measures names it.  [default: the suite's]")
@click.option("-k", "--num-results", type=click.IntRange(min=1), help="Documents a query.  [default: the suite's depth]")
@output_options
@click.option("--model", help="Where the indexes' model is now, if it has moved.")
@precision_option
@device_option
def command(
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
    """Evaluate systems on a dataset, or on several.

    A system is stages joined by >>, each with % and a number after it to cut: bm25, x.ance, "bm25 % 100 >> x.ance",
    "bm25 % 100 >> runs/bert". The first stage retrieves, the later ones (indexes, rerankers) score its results. "bm25 + 1.1 * x.ance" and
    "rrf(bm25, x.ance)" fuse; "run.NAME" is the dataset's file run.NAME[.SPLIT].txt. `ance-ir systems` shows all other names. Without
    --system and --run, all of --pipelines are evaluated.

    Measures, depth and the like are those of the dataset's suite (see `ance-ir suites`). Coverage@k needs a split with answers, and takes
    all its questions, judged or not.

    The means are shown, and with a baseline each difference from it; these, the values of each query, and the runs are written to --out.
    A run there that was made of the same queries, models and indexes is used again. The doctor's findings, which make the figures
    doubtful, follow. With another --format only the table goes to the standard output.

    Several datasets, or a --benchmark, give one table with the mean over them and its interval; --out gets a folder for each, and
    --report a page for each. ance[model=M] makes and keeps an index of each. What cannot be read is named; the others are evaluated.
    """
    if not systems and not run_files and file is None:
        raise click.UsageError("name a system with --system, a file with --run, or a file of pipelines with --pipelines")
    if bool(datasets) == (benchmark is not None):
        raise click.UsageError("name a dataset with --dataset, several, or a benchmark with --benchmark")
    _check_out(out, report)
    if benchmark is not None or len(datasets) > 1:
        several.evaluate(datasets, benchmark, splits, systems, file, run_files, suite, out, report, form, **options)
    elif len(splits) > 1:
        raise click.UsageError("several splits need several datasets: name the dataset with each")
    else:
        _evaluate_one(datasets[0], splits[0] if splits else "test", systems, file, run_files, suite, out, report, form, **options)


def _check_out(out: Path, report: Path | None) -> None:
    for option, folder in (("--out", out), *((("--report", report.parent),) if report else ())):
        _make_writable(option, folder)


def _evaluate_one(
    dataset: str,
    split: str,
    systems: tuple[str, ...],
    file: Path | None,
    run_files: tuple[str, ...],
    suite: str | None,
    out: Path,
    report: Path | None,
    form: str,
    **options: Any,
) -> None:
    """Evaluate systems on one dataset."""
    from ance_ir import load_dataset
    from ance_ir.eval import KeptRuns, evaluate_on_dataset, find_suite, parse_measures, published_on, published_table, suite_of
    from ance_ir.pipelines.systems import load_pipelines
    from ance_ir.processes import usable_cpus
    from ance_ir.workflows.planning.estimates import announcing_evaluation

    if options["measures"]:
        parse_measures(options["measures"])
    chosen = find_suite(suite) if suite else None
    source = load_dataset(dataset)
    used = chosen or suite_of(source, split)
    own = load_pipelines(file, source) if file else {}
    evaluated = [*(systems or (() if run_files else own)), *run_files]
    settings = {"dataset": source.name, "fingerprint": source.fingerprint, "split": split, "suite": used.name, "systems": evaluated}
    shared: Any = {"processes": usable_cpus(), "kept": KeptRuns(out / "runs"), "verbose": True}
    shared["announce"] = announcing_evaluation(partial(click.echo, err=True))
    found = evaluate_on_dataset(source, systems, suite=used, split=split, pipelines=own, run_files=_named(run_files), **options, **shared)

    say = partial(click.echo, err=form != "text")
    _save_and_show(found, out, form, {**settings, "k": options["num_results"] or used.depth})
    if published := published_on(source, split):
        say(f"\n{published_table(published).to_text()}")
    _examine(found, source, split, used, out, report, say)


def _save_and_show(found: Evaluation, out: Path, form: str, settings: Mapping[str, Any]) -> None:
    """Save before anything else could fail, and show the table in any case."""
    from ance_ir.eval import format_evaluation
    from ance_ir.training import environment

    if found.reused:
        click.echo(f"used again from {out / 'runs'}, with their times: {', '.join(found.reused)}", err=form != "text")
    _warn_of_replacing(out, settings)
    try:
        found.save(out, {**settings, "environment": environment()})
    finally:
        click.echo(format_evaluation(found, form))
    if form == "text" and (compared := found.comparison_text()):
        click.echo(f"\n{compared}")


def _examine(
    found: Evaluation, dataset: Dataset, split: str, suite: Suite, out: Path, report: Path | None, say: Callable[[str], None]
) -> None:
    """Show the doctor's findings, and write the report."""
    from ance_ir.errors import AnceError, EvaluationError
    from ance_ir.eval import diagnose_on_dataset, findings_text, report_on_dataset

    saved = f"results.json, per_query.tsv and runs/ are in {out}"
    if findings := diagnose_on_dataset(found, dataset, split, suite):
        say(f"\n{findings_text(findings)}")
    if report:
        try:
            report_on_dataset(found, dataset, split, suite, findings, report)
        except (AnceError, OSError) as error:
            raise EvaluationError(f"{report} could not be written ({error}); {saved}") from error
    say(saved + (f", the page is {report}" if report else ""))


def _warn_of_replacing(out: Path, settings: Mapping[str, Any]) -> None:
    """Warn of a folder that holds the results of other settings."""
    from ance_ir.errors import DatasetError
    from ance_ir.files import read_json

    try:
        before = read_json(out / "results.json")["settings"]
        same = all(before[name] == settings[name] for name in ("dataset", "split", "systems"))
        about = f"{', '.join(map(str, before['systems']))} on {before['dataset']}, {before['split']}"
    except (OSError, DatasetError, LookupError, TypeError):
        return
    if not same:
        logger.warning("%s holds other results (%s); they are replaced, their runs stay in %s", out, about, out / "runs")


def _make_writable(option: str, folder: Path) -> None:
    """Create a folder, and make sure that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "it cannot be written to")
    except OSError as error:
        raise click.UsageError(f"{option}: no file can be written in {folder}: {error.strerror}") from error


def _named(files: tuple[str, ...]) -> dict[str, Path]:
    """The files of ``[NAME=]FILE``, by name; by default that of the file without its endings."""
    from ance_ir.compression import plain_name
    from ance_ir.files import as_path

    named: dict[str, Path] = {}
    for text in files:
        name, separator, file = text.partition("=")
        if not separator or as_path(text).exists():
            name, file = "", text
        path = as_path(or_standard_input(file))
        name = name or plain_name(path.name).rsplit(".", 1)[0]
        if not path.is_file():
            raise click.UsageError(f"--run {text}: there is no file {path}")
        if name in named:
            raise click.UsageError(f"two runs are called {name!r}; name them: --run NAME={path}")
        named[name] = path
    return named
