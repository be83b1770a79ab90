"""``ance-ir bench``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import click

from ance_ir.cli._options import DATASET, PRECISIONS, device_option

if TYPE_CHECKING:
    import pandas as pd

    from ance_ir.models.compute.precision import Precision

EXAMPLE = """
\b
Example:
  ance-ir bench search --vectors 20000
  ance-ir bench encode --dataset vaswani --dataset msmarco-mini --format markdown
  ance-ir bench pipeline --documents 500 --queries 4
"""


@click.command("bench", short_help="Measure search, encoding and pipelines", epilog=EXAMPLE)
@click.argument("what", type=click.Choice(["search", "encode", "pipeline"]))
@click.option("--vectors", type=click.IntRange(min=1000), default=100_000, show_default=True, help="search: how many are searched.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    default=["python-stdlib"],
    show_default=True,
    metavar="D",
    help=f"encode, pipeline: whose documents; encode: may be repeated. {DATASET}",
)
@click.option(
    "--documents", type=click.IntRange(min=1), default=1000, show_default=True, help="encode, pipeline: how many of each dataset."
)
@click.option(
    "--length", type=click.IntRange(min=3), default=128, show_default=True, help="encode, pipeline: tokens that a text is cut to."
)
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="encode, pipeline: a folder or a hub name.")
@click.option("--reranker", help="pipeline: a folder or a hub name.  [default: the model, with a fresh head]")
@click.option("--queries", type=click.IntRange(min=1), default=8, show_default=True, help="pipeline: how many are asked.")
@click.option("--backend", default="hnsw", show_default=True, help="pipeline: what searches the vectors (docs/indexes.md).")
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(PRECISIONS),
    help="encode: ours also at this precision; may be repeated.  [default: all that can be had]",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds that count.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True, help="Of the table.")
@device_option
def command(
    what: str,
    vectors: int,
    datasets: tuple[str, ...],
    documents: int,
    length: int,
    model: str,
    reranker: str | None,
    queries: int,
    backend: str,
    precisions: tuple[str, ...],
    rounds: int,
    form: str,
    device: str | None,
) -> None:
    """Measure search and encoding beside the alternatives, and what the parts of a pipeline cost.

    The contenders take turns in each round, and the medians of the rounds are shown. search: milliseconds, ours divided by the best of the
    others, Faiss divided by ours. encode: a first round does not count. pipeline: the paper's efficiency table, beside the paper's figures.
    docs/benchmarks.md explains the columns.
    """
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_encode, bench_pipeline, bench_search, left_out

    if what == "search":
        title = f"exact search, {vectors:,} vectors, median milliseconds of {rounds} rounds{left_out()}"
        found = bench_search(vectors=vectors, rounds=rounds, verbose=True)
    elif what == "pipeline":
        if len(datasets) > 1:
            raise click.UsageError("pipeline takes one dataset")
        dataset = load_dataset(datasets[0])
        found = bench_pipeline(
            dataset,
            model,
            reranker=reranker,
            documents=documents,
            queries=queries,
            length=length,
            backend=backend,
            rounds=rounds,
            device=device,
            verbose=True,
        )
        title = f"{dataset.name}, the first {documents:,} documents, {length} tokens, {model}, {backend}, medians of {rounds} rounds"
    else:
        title = f"encoding the first {documents:,} documents, {length} tokens, {model}, medians of {rounds} rounds"
        opened = [load_dataset(dataset) for dataset in datasets]
        found = bench_encode(
            opened,
            model,
            documents=documents,
            length=length,
            rounds=rounds,
            precisions=cast("tuple[Precision, ...]", precisions) or None,
            device=device,
            verbose=True,
        )
    _show(title, found, form)


def _show(title: str, found: pd.DataFrame, form: str) -> None:
    if form == "json":
        click.echo(found.to_json(orient="records", indent=2, force_ascii=False))
        return
    cells = [list(found.columns), *([_cell(value) for value in row] for row in found.itertuples(index=False, name=None))]
    click.echo(f"{title}\n")
    if form == "markdown":
        cells.insert(1, ["---"] * len(found.columns))
        click.echo("\n".join(f"| {' | '.join(row)} |" for row in cells))
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        click.echo(
            "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        )


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4f}" if 0.9 < value <= 1 else f"{value:.2f}"
