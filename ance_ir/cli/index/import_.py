"""``ance-ir index import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ance_ir.cli._options import UserPath, text_options, text_settings
from ance_ir.registries import INDEX_FORMATS

if TYPE_CHECKING:
    from ance_ir.indexes.store.vectors import VectorType

EXAMPLE = """
\b
Example:
  ance-ir index import indexes/msmarco-doc-maxp --model castorini/ance-msmarco-doc-maxp --passages chunks:512,4 --out maxp.ance
  ance-ir index import msmarco-v1-passage.ance --model castorini/ance-msmarco-passage --out passages.ance
"""


@click.command("import", short_help="Build an index from another tool's vectors", epilog=EXAMPLE)
@click.argument("source", type=UserPath(exists=True, named=True))
@click.option("--out", type=UserPath(), required=True, help="The index's folder.")
@click.option("--format", type=click.Choice(list(INDEX_FORMATS)), help="The format of SOURCE.  [default: recognised by its files]")
@click.option("--model", help="The encoder that made the vectors: a folder, a training run or a hub name.  [default: unknown]")
@click.option("--passages", help="How documents were cut, e.g. maxp:512,4, where ids are docno#0, docno#1, …; needs --model.")
@click.option("--dtype", type=click.Choice(["float16", "float32"]), default="float32", show_default=True, help="How vectors are stored.")
@click.option("--overwrite", is_flag=True, help="Replace an existing index.")
@text_options
def command(
    source: Path,
    out: Path,
    format: str | None,
    model: str | None,
    passages: str | None,
    dtype: VectorType,
    overwrite: bool,
    query_length: int | None,
    passage_length: int | None,
    text: tuple[str, ...],
) -> None:
    """Build an index from the vectors at SOURCE: a folder or a file, or the name of one of Pyserini's prebuilt indexes in its cache.

    With --model the index records its model, and queries encoded by another one are refused.
    """
    from ance_ir import DenseEncoder
    from ance_ir.errors import IndexingError
    from ance_ir.indexes import AnceIndex, parse_passages
    from ance_ir.indexes.formats import import_index

    if AnceIndex(out).built() and not overwrite:
        raise IndexingError(f"{out} already holds an index; --overwrite replaces it")
    scheme = parse_passages(passages) if passages else None
    settings = text_settings(query_length, passage_length, text)
    if model is None and (settings or scheme):
        raise click.UsageError("--passages and text settings need the model that they belong to: --model")
    encoder = DenseEncoder.from_pretrained(model, device="cpu", **settings) if model else None
    index = import_index(out, source, format=format, model=encoder, passages=scheme, dtype=dtype, overwrite=overwrite, verbose=True)
    click.echo(f"{len(index):,} documents, {len(index.vectors):,} vectors of {index.vectors.dimension} dimensions in {out}")
