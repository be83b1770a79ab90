"""``ance-ir index tune``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import DATASET, UserPath, dataset_options, device_option, index_argument, precision_option

if TYPE_CHECKING:
    import pandas as pd

    from ance_ir.eval.tuning import Form
    from ance_ir.models.compute.precision import Precision

EXAMPLE = """
\b
Example:
  ance-ir index tune stdlib.ance --dataset python-stdlib --split dev --out tuning
  ance-ir index tune stdlib.ance --queries mine.tsv --backend ivf --backend hnsw+sq8,rescore=200 --time-budget 10
  ance-ir search stdlib.ance "parse a date from a string" --backend tuned
"""


@click.command("tune", short_help="Choose how to search an index, by measuring", epilog=EXAMPLE)
@index_argument
@dataset_options(help=f"The collection whose queries are used. {DATASET}")
@click.option("--split", default="test", show_default=True, help="The split of its queries.")
@click.option("--queries", "file", type=UserPath(exists=True, dir_okay=False), help="A file of queries instead: qid, tab, query.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="Q",
    help="Most queries; drawn at random from more.",
)
@click.option("--model", help="The present name or folder of the index's model, if it has moved.")
@click.option("-k", "--num-results", type=click.IntRange(min=1), default=100, show_default=True, help="Documents a query.")
@click.option(
    "--recall", type=click.FloatRange(0, 1), default=0.95, show_default=True, help="The share of the exact first k that must be found."
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="BACKEND",
    help="A family to try; options given with it are not varied. May be repeated.  [default: families that suit the index's size]",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Searches of each query alone; the median counts.")
@click.option(
    "--time-budget",
    "minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="After so long nothing else is begun; the cheapest families come first, or those of --backend in their order.",
)
@click.option("--keep", is_flag=True, help="Keep the Faiss files of all families that were tried.")
@click.option("--out", type=UserPath(file_okay=False), metavar="FOLDER", help="Write all measurements and a plot there.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "csv", "json"]),
    default="text",
    show_default=True,
    help="Table format.",
)
@precision_option
@device_option
def command(
    index: Path,
    dataset: str | None,
    split: str,
    file: Path | None,
    limit: int,
    model: str | None,
    num_results: int,
    recall: float,
    backends: tuple[str, ...],
    rounds: int,
    minutes: float | None,
    keep: bool,
    out: Path | None,
    form: Form,
    precision: Precision | None,
    device: str | None,
) -> None:
    """Build Faiss indexes of INDEX and measure recall against exact search, latency, memory and building time.

    The table shows the settings that no other beats in recall, median latency and memory together. The fastest that reaches --recall is
    written into the index: --backend tuned uses it. The Faiss files of the others are removed. If interrupted, the same command builds
    nothing twice.
    """
    from ance_ir.eval.report.pictures import new_figure
    from ance_ir.eval.tuning import tune, tuning_as, write_tuning
    from ance_ir.indexes import AnceIndex

    if out is not None:
        new_figure(1, 1)  # a missing matplotlib is reported before hours of measuring, not after
    queries = _queries(dataset, split, file)
    if len(queries) > limit:
        queries = queries.sample(limit, random_state=42)
    opened = AnceIndex(index)
    encoder = opened.model(model, device, precision)
    tuning = tune(
        opened,
        encoder.encode_queries(queries["query"].to_list()),
        k=num_results,
        recall=recall,
        backends=backends,
        rounds=rounds,
        keep=keep,
        seconds=math.inf if minutes is None else 60 * minutes,
        device=str(encoder.device),
        verbose=True,
    )
    click.echo(tuning_as(tuning, form))
    families = dict.fromkeys(one.family for one in tuning.measured)
    click.echo(f"tried {len(tuning.measured)} settings of {', '.join(families)} in {tuning.seconds:,.0f} s", err=True)
    for family, reason in tuning.skipped.items():
        click.echo(f"left out: {family}: {reason}", err=True)
    written = f"; written: {', '.join(map(str, write_tuning(tuning, out)))}" if out is not None else ""
    click.echo(f"chosen for recall@{num_results} of {recall:g}, used by --backend tuned: {tuning.chosen.backend}{written}", err=True)


def _queries(dataset: str | None, split: str, file: Path | None) -> pd.DataFrame:
    from ance_ir import load_dataset
    from ance_ir.datasets.frames import queries_frame
    from ance_ir.datasets.parsing import read_queries

    if dataset is not None and file is None:
        return load_dataset(dataset).queries(split)
    if file is not None and dataset is None:
        return queries_frame(read_queries(file))
    raise click.UsageError("give a collection with --dataset, or a file of queries with --queries")
