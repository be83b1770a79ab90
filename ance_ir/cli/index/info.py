"""``ance-ir index info``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import index_argument


@click.command("info", short_help="Show an index's contents, its model, and the memory it needs")
@index_argument
def command(index: Path) -> None:
    """Show what INDEX holds, the model that made it, and the memory that searching it needs."""
    from ance_ir.indexes import AnceIndex

    click.echo(AnceIndex(index).info())
