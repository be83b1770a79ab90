"""``ance-ir index info``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import index_argument


@click.command("info", short_help="Show what an index holds, by which model, and what it needs")
@index_argument
def command(index: Path) -> None:
    """Show what INDEX holds, by which model it was made, and what memory searching it needs."""
    from ance_ir.indexes import AnceIndex

    click.echo(AnceIndex(index).info())
