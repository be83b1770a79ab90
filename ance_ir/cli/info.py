"""``ance-ir info``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

    MODEL is an encoder, a reranker or a reader: a folder, a training run, a DPR file, a hub name, or two names with a comma between them
    for towers that are published apart. The options are for encoders.
    """
    from ance_ir.models.dense.checkpoint import split_name
    from ance_ir.models.loading.kinds import model_kind
    from ance_ir.models.loading.source import resolve

    told = text_settings(query_length, passage_length, text)
    path = resolve(model) if len(split_name(model)) == 1 else None
    kind = model_kind(path) if path is not None and path.is_dir() else None
    if kind in (None, "encoder"):
        return _show_encoder(model, told)
    if told:
        raise click.UsageError(f"{model} is a {kind}, which has no text settings of an encoder")
    return _show_reranker(model) if kind == "reranker" else _show_reader(model)


def _show_encoder(model: str, told: dict[str, Any]) -> None:
    from ance_ir import DenseEncoder
    from ance_ir.models.dense.card import describe, describe_text
    from ance_ir.models.dense.published import PUBLISHED

    encoder = DenseEncoder.from_pretrained(model, device="cpu", **told)
    known = {"published as": f"--passages {PUBLISHED[model].passages}"} if model in PUBLISHED else {}
    unused = {"unused weights": ", ".join(encoder.origin.unused) or "none"}
    click.echo(encoder.name)
    _table({"layout": encoder.origin.layout, **describe(encoder), **unused, **known})
    click.echo(f"text settings, from {encoder.origin.text}")
    _table(describe_text(encoder))


def _show_reranker(model: str) -> None:
    from ance_ir import CrossEncoder
    from ance_ir.models.cross.card import describe_cross_encoder, describe_pairs

    reranker = CrossEncoder.from_pretrained(model, device="cpu")
    click.echo(reranker.name)
    _table({"layout": "reranker", **describe_cross_encoder(reranker), "unused weights": ", ".join(reranker.unused) or "none"})
    click.echo("settings of pairs")
    _table(describe_pairs(reranker))


def _show_reader(model: str) -> None:
    from dataclasses import asdict

    from ance_ir import Reader
    from ance_ir.models.dense.card import said
    from ance_ir.models.reader.checkpoint import describe_reader

    reader = Reader.from_pretrained(model, device="cpu")
    click.echo(reader.name)
    _table({"layout": "reader", **describe_reader(reader), "unused weights": ", ".join(reader.unused) or "none"})
    click.echo("settings of questions and passages")
    _table(said(asdict(reader.settings)))


def _table(rows: Mapping[str, str]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"  {name:<{width}}  {value}")
