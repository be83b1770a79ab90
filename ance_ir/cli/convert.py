"""``ance-ir convert``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import DATASET, UserPath, column_option, listing, named_columns
from ance_ir.registries import DATASET_LAYOUTS

HELP = f"""Write the collection or training data IN in another layout, to OUT, which appears whole or not at all.

IN: {DATASET} For a file, `-` is the standard input.

Layouts:

{listing(DATASET_LAYOUTS, [name for name in DATASET_LAYOUTS if DATASET_LAYOUTS.gives(name, "write")])}

`ance-ir layouts` lists those that are only read, too.

What a layout cannot hold is refused, before work is spent where that is known, and left out where --drop names it. Layouts without ids
get ids from a hash of the text.
"""
EXAMPLE = """
\b
Example:
  ance-ir convert python-stdlib --format beir --out stdlib-beir
  ance-ir convert msmarco-mini --format collection --split train:5000 --split dev \\
                  --documents 15000 --out msmarco-part
  ance-ir convert train.jsonl --format flagembedding --drop docno --drop qid --out flag.jsonl
"""


@click.command("convert", short_help="Write a collection or training data in another layout", help=HELP, epilog=EXAMPLE)
@click.argument("source", metavar="IN", callback=named_columns)
@column_option
@click.option("--format", "layout", required=True, metavar="LAYOUT", help="The layout to write; see above.")
@click.option("--out", type=UserPath(), required=True, help="The file or folder to write; it must not exist.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="SPLIT",
    help="Write this split alone, or SPLIT:N: N of its queries; may be repeated.  [default: all]",
)
@click.option(
    "--documents",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write N documents: those the queries are about, and others.  [default: all]",
)
@click.option("--drop", multiple=True, metavar="FIELD", help="Leave this out: docno, title, url, corpus, …; may be repeated.")
def command(source: str, layout: str, out: Path, splits: tuple[str, ...], drop: tuple[str, ...], documents: int | None) -> None:
    """Write a collection or training data in another layout."""
    from ance_ir import load_dataset
    from ance_ir.datasets import convert

    convert(load_dataset(source), layout, out, drop=drop, splits=splits, documents=documents, verbose=True)
    click.echo(f"{out} ({layout}); look at it with: ance-ir info {out}")
