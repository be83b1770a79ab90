"""``ance-ir index delete``."""

from __future__ import annotations

from pathlib import Path

import click

from ance_ir.cli._options import UserPath, index_argument

EXAMPLE = """
\b
Example:
  ance-ir index delete news.ance doc17 doc18
  ance-ir index delete news.ance --from withdrawn.txt --missing
"""


@click.command("delete", short_help="Delete documents", epilog=EXAMPLE)
@index_argument
@click.argument("docnos", nargs=-1)
@click.option(
    "--from", "file", type=UserPath(exists=True, dir_okay=False), metavar="FILE", help="Delete the documents in FILE too, a docno a line."
)
@click.option("--missing", is_flag=True, help="Ignore docnos that the index does not hold; otherwise nothing is deleted.")
def command(index: Path, docnos: tuple[str, ...], file: Path | None, missing: bool) -> None:
    """Delete documents of INDEX, all of DOCNOS or none. They are no longer found; `ance-ir index compact` frees their space."""
    from ance_ir.datasets.ids import Ids
    from ance_ir.datasets.parsing import clean_id
    from ance_ir.indexes import AnceIndex
    from ance_ir.reading import lines

    ids = Ids(file)
    listed = [clean_id(line, line.text, "docno", ids) for line in lines(file)] if file else []
    ids.report()
    if not docnos and file is None:
        raise click.UsageError("give docnos, or a file of them with --from")
    opened = AnceIndex(index)
    count = opened.delete([*docnos, *listed], missing=missing)
    click.echo(f"{index}: {count:,} deleted, {len(opened):,} documents left")
