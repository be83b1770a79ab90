"""``ance-ir layouts``."""

from __future__ import annotations

import click

EXAMPLE = """
\b
Example:
  ance-ir layouts
  ance-ir info scifact/
  ance-ir convert scifact/ --format collection --out scifact-ours
"""


@click.command("layouts", short_help="List the layouts of collections and training data", epilog=EXAMPLE)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the list.")
def command(form: str) -> None:
    """List the layouts in which collections and training data are read, and written by `ance-ir convert`: what a layout is, the files
    or columns by which it is recognised, and what it holds in addition to texts.
    """
    import json

    from ance_ir.datasets import layouts_table

    rows = layouts_table()
    if form == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['summary']}{'' if row['written'] else ' (read only)'}")
        click.echo(f"  {row['example']}; holds {', '.join(row['holds']) or 'texts alone'}")
