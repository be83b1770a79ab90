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


@click.command("info", short_help="Show the properties and text settings of a model", epilog=EXAMPLE)
@click.argument("model")
@text_options
def command(model: str, query_length: int | None, passage_length: int | None, text: tuple[str, ...]) -> None:
    """Show the properties and text settings of MODEL.

    MODEL is an encoder, a reranker or a reader: a folder, a training run, a DPR file, a hub name, or two names with a comma between them
    for towers that are published separately. The options are for encoders.
    """
    from ance_ir import models
    from ance_ir.models.dense.published import PUBLISHED

    changes = text_settings(query_length, passage_length, text)
    family = models.find_family(model)
    if changes and family != "encoder":
        raise click.UsageError(f"{model} is a {family}, which has no text settings of an encoder")
    opened = models.open(model, device="cpu", **changes)
    published = {"published as": f"--passages {PUBLISHED[model].passages}"} if model in PUBLISHED else {}
    click.echo(opened.name)
    _table({"layout": opened.origin.layout, **opened.properties(), "unused weights": ", ".join(opened.unused) or "none", **published})
    click.echo(f"settings, from {opened.origin.settings}")
    _table(opened.settings.rows())


def _table(rows: Mapping[str, str]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"  {name:<{width}}  {value}")
