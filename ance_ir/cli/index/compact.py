"""``ance-ir index compact``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import index_argument


@click.command("compact", short_help="Free the space of deleted documents")
@index_argument
def command(index: Path) -> None:
    """Write INDEX again without its deleted documents. Faiss files are built again when next needed."""
    from ance_ir.indexes import AnceIndex

    opened = AnceIndex(index)
    before = len(opened.table) - len(opened)
    opened.compact()
    click.echo(f"{index}: {len(opened):,} documents; removed: {before:,}")
