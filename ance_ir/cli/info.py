"""``ance-ir info``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import click

from ance_ir.cli._options import column_option, listing, named_columns, text_options, text_settings
from ance_ir.registries import DATASET_LAYOUTS

if TYPE_CHECKING:
    from ance_ir.datasets import Dataset

HELP = f"""Show what a dataset or an index holds, or the properties and text settings of a model.

NAME is a dataset (a file or folder, a name under $ANCE_IR_DATA, an ir_datasets id), the folder of an index, or a model: an encoder (dense,
sparse, multi-vector), a reranker or a reader, by a folder, a training run, a DPR file, a hub name, or two names with a comma between them
for towers that are published separately.

Of a dataset: its layout, counts, splits, an example, and what looks odd. Layouts:

{listing(DATASET_LAYOUTS)}

Of a model: its architecture and text settings; --query-length, --passage-length and --text are for dense encoders.
"""
EXAMPLE = """
\b
Example:
  ance-ir info castorini/ance-msmarco-doc-maxp
  ance-ir info scifact/
  ance-ir info rows.parquet --column text=body
"""


@click.command("info", short_help="Show what a dataset or an index holds, or the properties of a model", help=HELP, epilog=EXAMPLE)
@click.argument("name", callback=named_columns)
@column_option
@click.option("--as", "kind", type=click.Choice(["model", "dataset"]), help="Which of them NAME is, where it could be both.")
@text_options
def command(
    name: str, kind: Literal["model", "dataset"] | None, query_length: int | None, passage_length: int | None, text: tuple[str, ...]
) -> None:
    """Show what a dataset or an index holds, or the properties and text settings of a model."""
    from ance_ir.files import as_path
    from ance_ir.indexes.formats.prebuilt import import_hint
    from ance_ir.pipelines.systems.contents import is_index
    from ance_ir.pipelines.systems.folders import open_index
    from ance_ir.workflows.kinds import dataset_or_none

    changes = text_settings(query_length, passage_length, text)
    if kind is None and is_index(as_path(name)):
        if changes:
            raise click.UsageError(f"{name} is an index, which has no text settings of an encoder")
        click.echo(open_index(as_path(name)).info())
        return
    dataset = dataset_or_none(name, kind)
    if dataset is None:
        if kind is None and (hint := import_hint(name)):
            raise click.UsageError(f"there is no index or dataset {name!r}{hint}")
        _model(name, changes)
    elif changes:
        raise click.UsageError(f"{name} is a dataset, which has no text settings of an encoder")
    else:
        _dataset(dataset)


def _dataset(dataset: Dataset) -> None:
    from ance_ir.datasets import FileDataset, describe

    found = describe(dataset, verbose=True)
    click.echo(dataset.name)
    rows = {"source": dataset.source}
    if isinstance(dataset, FileDataset):
        rows = {"layout": f"{dataset.layout}: {DATASET_LAYOUTS.summary(dataset.layout)}", **rows}
    if found.corpus is None:
        count = dataset.documents().count
        rows["documents"] = "not counted" if count is None else f"{count:,}"
    else:
        corpus = found.corpus
        mean = corpus.words / max(1, corpus.documents)
        rows["documents"] = f"{corpus.documents:,}, {corpus.titles:,} of them with titles; mean length {mean:.0f} words"
        if corpus.first is not None:
            rows["first document"] = _short(f"{corpus.first['docno']}: {corpus.first.get('title', '')} {corpus.first['text']}")
    if found.query:
        rows["first query"] = _short(found.query)
    _table(rows)
    click.echo("splits" if len(found.splits) else "no queries: it can be indexed and searched")
    if len(found.splits):
        click.echo("  " + found.splits.astype(object).where(found.splits.notna(), "–").to_string(index=False).replace("\n", "\n  "))
    for line in found.odd:
        click.echo(f"odd: {line}")


def _model(name: str, changes: Mapping[str, object]) -> None:
    from ance_ir import models
    from ance_ir.models.dense.published import find_published
    from ance_ir.models.library import LIBRARY

    family = models.find_family(name)
    if changes and family != "encoder":
        raise click.UsageError(f"{name} is a {family}, which has no text settings of a dense encoder")
    if family in LIBRARY:
        wrapped = LIBRARY[family].from_pretrained(name, device="cpu")
        click.echo(wrapped.name)
        _table({"layout": f"{family}, opened by sentence-transformers", **wrapped.properties()})
        return
    opened = models.open(name, device="cpu", **changes)
    rows = {"layout": opened.origin.layout, **opened.properties(), "unused weights": ", ".join(opened.unused) or "none"}
    if (known := find_published(name)).family:
        licence = f"; licence {known.licence}" if known.licence else ""
        rows["published as"] = f"{known.describes}{licence}; --passages {known.passages}"
    if isinstance(opened, models.DenseEncoder) and (named := [prompt for prompt in opened.prompts if prompt not in ("query", "document")]):
        rows["prompts"] = f"{', '.join(named)}; --text query_prompt=NAME or passage_prompt=NAME chooses one"
    click.echo(opened.name)
    _table(rows)
    click.echo(f"settings, from {opened.origin.settings}")
    _table(opened.settings.rows())


def _short(text: str) -> str:
    from textwrap import shorten

    return shorten(text, 100, placeholder=" …")


def _table(rows: Mapping[str, str]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"  {name:<{width}}  {value}")
