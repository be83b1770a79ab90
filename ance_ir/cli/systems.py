"""``ance-ir systems``."""

from __future__ import annotations

import click

EXAMPLE = """
\b
Example:
  ance-ir systems
  ance-ir eval --dataset python-stdlib --system bm25 --system "bm25-ance-rerank[model=all-MiniLM-L6-v2]" --baseline bm25
"""


@click.command("systems", short_help="Show the systems that have names", epilog=EXAMPLE)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the list.")
def command(form: str) -> None:
    """Show the stages and systems that `ance-ir eval --system` knows by name: what they stand for, and the checkpoints that they need.

    A name stands where a stage does: "bm25+dpr % 100 >> bert". In brackets after it [model=FOLDER] uses another checkpoint.
    """
    from ance_ir.pipelines.systems import describe

    rows = describe()
    if form == "json":
        import json

        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['name']}\n  {row['what']}")
        if row["expression"] != row["name"]:
            click.echo(f"  = {row['expression']}")
        if row["needs"]:
            click.echo(f"  needs {row['needs']}")
