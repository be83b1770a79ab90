"""``ance-ir index info``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import index_argument


@click.command("info", short_help="Show an index's contents, its model, and the memory it needs")
@index_argument
def command(index: Path) -> None:
    """Show what INDEX holds (a dense, sparse or BM25 index) and the model that made it; of a dense one, the memory that searching it needs
    and its corpus graphs.
    """
    from ance_ir.pipelines.systems.folders import open_index

    click.echo(open_index(index).info())
