"""``ance-ir index export``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath, index_argument
from ance_ir.registries import INDEX_FORMATS

EXAMPLE = """
\b
Example:
  ance-ir index export stdlib.ance --format pyserini-faiss --out stdlib-faiss
"""


@click.command("export", short_help="Write an index in another tool's format", epilog=EXAMPLE)
@index_argument
@click.option("--format", type=click.Choice(list(INDEX_FORMATS)), required=True, help="The format to write.")
@click.option("--out", type=UserPath(), required=True, help="The folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing folder in this format.")
def command(index: Path, format: str, out: Path, overwrite: bool) -> None:
    """Write the vectors of INDEX as another tool reads them.

    Where documents have several passages, ids are docno#0, docno#1, ….
    """
    from ance_ir.indexes import AnceIndex
    from ance_ir.indexes.formats import export_index

    opened = AnceIndex(index)
    rows = export_index(opened, out, format, overwrite=overwrite, verbose=True)
    click.echo(f"{rows:,} vectors of {opened.vectors.dimension} dimensions in {out}")
