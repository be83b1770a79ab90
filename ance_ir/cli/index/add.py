"""``ance-ir index add``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import dataset_option, device_option, index_argument, precision_option

if TYPE_CHECKING:
    from ance_ir.indexes.store.additions import Existing
    from ance_ir.models.compute.precision import Precision

EXAMPLE = """
\b
Example:
  ance-ir index add news.ance --dataset news-of-today --existing replace
"""


@click.command("add", short_help="Encode documents and add them", epilog=EXAMPLE)
@index_argument
@dataset_option
@click.option(
    "--existing",
    type=click.Choice(["refuse", "keep", "replace"]),
    default="refuse",
    show_default=True,
    help="If INDEX holds some of the documents: add nothing at all; keep them as they are; encode those again whose texts have changed.",
)
@click.option("--model", help="The present name or folder of the index's model, if it has moved.")
@precision_option
@device_option
def command(index: Path, dataset: str, existing: Existing, model: str | None, precision: Precision | None, device: str | None) -> None:
    """Encode the documents of a collection as those of INDEX were, and add all or none. If interrupted, the same command resumes."""
    from ance_ir import load_dataset
    from ance_ir.indexes import AnceIndex, add_documents

    opened = AnceIndex(index)
    documents = load_dataset(dataset).usable_documents()
    added = add_documents(opened, opened.model(model, device, precision), documents, existing=existing, verbose=True)
    click.echo(f"{index}: {added:,} added, {len(opened):,} documents")
