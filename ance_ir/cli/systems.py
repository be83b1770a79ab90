"""``ance-ir systems``."""

from __future__ import annotations

import click

EXAMPLE = """
\b
Example:
  ance-ir systems
  ance-ir eval --dataset D --system bm25 --system "splade[model=F]" --system "rrf(splade[model=F], x.ance)"
  ance-ir eval --dataset D --system "bm25 % 100 >> colbert[model=F; cache=yes]"
  ance-ir eval --dataset python-stdlib --system bm25 --system "bm25-ance-rerank[model=all-MiniLM-L6-v2]" --baseline bm25
"""


@click.command("systems", short_help="List the named systems", epilog=EXAMPLE)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Format of the list.")
def command(output: str) -> None:
    """List the stages and systems that `ance-ir eval --system` knows by name: their expressions, and the checkpoints that they need.

    A name is used like any stage: "bm25+dpr % 100 >> bert". After it, [model=FOLDER] names another checkpoint. A path needs a separator, a
    known ending or quotes: ./bert is a folder, bert a stage.
    """
    from ance_ir.pipelines.systems import describe
    from ance_ir.registries import ADAPTIVES, BM25_ENGINES, FEEDBACKS, FUSIONS

    rows = describe()
    if output == "json":
        import json

        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['name']}\n  {row['what']}")
        if row["expression"] != row["name"]:
            click.echo(f"  = {row['expression']}")
        if row["needs"]:
            click.echo(f"  needs {row['needs']}")
    kinds = {"{}(a, b)": FUSIONS, "bm25[engine={}]": BM25_ENGINES, "x.ance[prf={}]": FEEDBACKS, "bm25 >> x.ance[adaptive={}]": ADAPTIVES}
    for form, kind in kinds.items():
        for name in kind:
            click.echo(f"{form.format(name)}\n  {kind.summary(name)}")
