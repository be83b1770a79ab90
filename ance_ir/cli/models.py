"""``ance-ir models``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ance_ir.registries import CHECKPOINT_LAYOUTS, MODEL_FAMILIES

if TYPE_CHECKING:
    from ance_ir.models.dense.published import Published

EXAMPLE = """
\b
Example:
  ance-ir models
  ance-ir models --family e5 --format json
  ance-ir models --layouts
  ance-ir info intfloat/e5-base-v2
"""
_UNSTATED = "–"


@click.command("models", short_help="List the published encoders that are known by name", epilog=EXAMPLE)
@click.option("--family", type=click.Choice(list(MODEL_FAMILIES)), metavar="NAME", help="Only the models of one family.")
@click.option("--layouts", is_flag=True, help="List the layouts of checkpoints instead.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the list.")
def command(family: str | None, layouts: bool, form: str) -> None:
    """List the published dense encoders that are known by name, by family: parameters, dimensions of a vector, pooling, similarity and
    licence, where a source states them; in JSON also prompts, lengths and the source.

    A name brings the settings that its files do not have: --model NAME, ance[model=NAME]. Other checkpoints open too, in every layout of
    --layouts; --text pooling=…, similarity=… and normalize=… say what their files do not.
    """
    if layouts and family is not None:
        raise click.UsageError("--layouts and --family exclude each other")
    if layouts:
        _layouts(form)
    else:
        _models([family] if family is not None else list(MODEL_FAMILIES), form)


def _models(families: list[str], form: str) -> None:
    import dataclasses
    import json

    from ance_ir.models.dense.published import read_family

    models = {name: one for family in families for name, one in read_family(MODEL_FAMILIES[family]).items()}
    if form == "json":
        rows = [{"name": name, **dataclasses.asdict(one)} for name, one in models.items()]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max(map(len, models))
    click.echo(f"  {'name':<{width + 2}}  {_columns('parameters', 'dimensions', 'pooling', 'similarity', 'licence')}")
    for family in families:
        click.echo(f"{family}: {MODEL_FAMILIES.summary(family)}")
        own = {name: one for name, one in models.items() if one.family == family}
        for settings in dict.fromkeys(map(_settings, own.values())):
            if settings:
                click.echo(f"  with {settings}:")
            indent = "    " if settings else "  "
            for name in (name for name, one in own.items() if _settings(one) == settings):
                click.echo(f"{indent + name:<{width + 4}}  {_shown(own[name])}")


def _shown(one: Published) -> str:
    size = one.parameters
    number = None if size is None else f"{size / 1e9:.1f} B" if size >= 1e9 else f"{size / 1e6:.0f} M"
    return _columns(number, one.dimension, one.pooling, one.similarity, one.licence)


def _settings(one: Published) -> str:
    return ", ".join(f"{name}={','.join(value) if isinstance(value, tuple) else repr(value)}" for name, value in one.text.items())


def _columns(parameters: str | None, *others: str | int | None) -> str:
    dimension, pooling, similarity, licence = (str(one or _UNSTATED) for one in others)
    return f"{parameters or _UNSTATED:>10}  {dimension:>10}  {pooling:<11}  {similarity:<10}  {licence}"


def _layouts(form: str) -> None:
    import json

    from ance_ir.models.dense.layout import LAYOUTS

    order = sorted(LAYOUTS, key=lambda name: LAYOUTS[name].order)
    rows = [{"name": name, "summary": CHECKPOINT_LAYOUTS.summary(name), "recognised_by": LAYOUTS[name].sign} for name in order]
    if form == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['summary']}\n  recognised by {row['recognised_by']}")
