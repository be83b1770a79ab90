"""``ance-ir index verify``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import index_argument


@click.command("verify", short_help="Compare all files with their checksums")
@index_argument
def command(index: Path) -> None:
    """Read all files of INDEX and compare their checksums with those in its manifest; altered files are named."""
    from ance_ir.indexes import AnceIndex

    opened = AnceIndex(index)
    opened.verify()
    click.echo(f"{index}: {len(opened):,} documents, no file was altered")
