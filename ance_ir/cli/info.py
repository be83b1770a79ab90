"""``ance-ir info``."""

from __future__ import annotations

from collections.abc import Mapping

import click

from ance_ir.cli._options import text_options, text_settings

EXAMPLE = """
\b
Example:
  ance-ir info castorini/ance-msmarco-doc-maxp
"""


@click.command("info", short_help="Show what a model is and how it reads text", epilog=EXAMPLE)
@click.argument("model")
@text_options
def command(model: str, query_length: int | None, passage_length: int | None, text: tuple[str, ...]) -> None:
    """Show what MODEL is and how it reads text.

    MODEL is a folder, a training run, a DPR file, a hub name, or two names with a comma between them for towers that are published apart.
    """
    from ance_ir import DenseEncoder
    from ance_ir.models.card import describe, describe_text
    from ance_ir.models.published import PUBLISHED

    encoder = DenseEncoder.from_pretrained(model, device="cpu", **text_settings(query_length, passage_length, text))
    known = {"published as": f"--passages {PUBLISHED[model].passages}"} if model in PUBLISHED else {}
    unused = {"unused weights": ", ".join(encoder.origin.unused) or "none"}
    click.echo(encoder.name)
    _table({"layout": encoder.origin.layout, **describe(encoder), **unused, **known})
    click.echo(f"text settings, from {encoder.origin.text}")
    _table(describe_text(encoder))


def _table(rows: Mapping[str, str]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"  {name:<{width}}  {value}")
