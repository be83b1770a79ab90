"""``ance-ir bench``."""

from __future__ import annotations

import click

from ance_ir.cli._options import DATASET, device_option

EXAMPLE = """
\b
Example:
  ance-ir bench search --vectors 20000
  ance-ir bench encode --dataset python-stdlib
"""


@click.command("bench", short_help="Measure search and encoding beside the alternatives", epilog=EXAMPLE)
@click.argument("what", type=click.Choice(["search", "encode"]))
@click.option("--vectors", type=click.IntRange(min=1000), default=100_000, show_default=True, help="How many are searched.")
@click.option("--dataset", default="python-stdlib", show_default=True, metavar="D", help=f"Whose documents are encoded. {DATASET}")
@click.option("--documents", type=click.IntRange(min=1), default=1000, show_default=True, help="How many are encoded.")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="The encoder: a folder or a hub name.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds that count.")
@device_option
def command(what: str, vectors: int, dataset: str, documents: int, model: str, rounds: int, device: str | None) -> None:
    """Measure search and encoding beside the alternatives.

    The contenders run in turn, after a round that does not count; the medians are shown, and ours divided by the best of the others.
    """
    from ance_ir import load_dataset
    from ance_ir.eval.bench import bench_encode, bench_search

    if what == "search":
        found = bench_search(vectors=vectors, rounds=rounds, verbose=True)
        click.echo(f"exact search, {vectors:,} vectors, median milliseconds of {rounds} rounds")
    else:
        found = bench_encode(load_dataset(dataset), model, documents=documents, rounds=rounds, device=device)
        click.echo(f"encoding, median seconds of {rounds} rounds")
    click.echo(found.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
