"""Importing an index from another tool's files, and exporting it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ance_ir.errors import IndexingError, UsageError
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.formats.batches import Batch
from ance_ir.indexes.formats.files import read_vectors, write_vectors
from ance_ir.indexes.store.rows import index_rows
from ance_ir.indexes.store.vectors import VectorType
from ance_ir.models import DenseEncoder, Encoding, PassageScheme
from ance_ir.models.dense.transformers import PASSAGE_SEPARATOR

_PASSAGE = re.compile(f".+{PASSAGE_SEPARATOR}[0-9]+", re.DOTALL)


def import_index(
    path: Path | str,
    source: Path | str,
    *,
    format: str | None = None,
    model: DenseEncoder | None = None,
    passages: PassageScheme | None = None,
    dtype: VectorType = "float32",
    overwrite: bool = False,
    verbose: bool = False,
) -> AnceIndex:
    """Build an index from vectors that another tool wrote; whole or not at all.

    Args:
        path: the index's folder.
        source: a folder or a file, or the name of one of Pyserini's prebuilt indexes in its cache (``"msmarco-v1-passage.ance"``).
        format: one of ``FORMATS``; ``None`` recognises it.
        model: the model that made the vectors, with its present text settings; without one, the index has no record of its model.
        passages: how documents were cut, where ids are ``docno#0``, ``docno#1``, … and those of a document are consecutive; they become
            passages of their documents. Without it, every id is a document.
        dtype: how vectors are stored.
        overwrite: whether an existing index may be replaced.
        verbose: show progress.

    Raises:
        IndexingError: there is an index at the path; the source is of no known format or damaged, does not have the model's dimension, or
            an id names no passage.
        DatasetError: an id occurs twice, or a line is not of the format.
        UsageError: passages without a model.
    """
    if passages is not None and model is None:
        raise UsageError("passages need a model: name the one that made the vectors, or leave passages out")
    encoding = Encoding.of(model, str(passages) if passages is not None else None) if model is not None else None
    batches = read_vectors(source, format)
    if model is not None:
        batches = _of_dimension(batches, model, source)
    with tqdm(desc="importing", unit=" vectors", disable=not verbose) as bar:
        return AnceIndex(path, dtype=dtype, overwrite=overwrite).index(_rows(_shown(batches, bar), encoding))


def export_index(index: AnceIndex, target: Path | str, format: str, *, overwrite: bool = False, verbose: bool = False) -> int:
    """Write an index's vectors into a folder in another tool's format; whole or not at all.

    Where documents have several passages, a row's id is ``docno#0``, ``docno#1``, ….

    Args:
        index: the index.
        target: the folder.
        format: one of ``FORMATS``.
        overwrite: whether an existing folder in this format may be replaced.
        verbose: show progress.

    Returns:
        How many rows were written; those of deleted documents are left out.

    Raises:
        IndexingError: there is such a folder at the target, no document is left, or the format cannot hold a docno.
        UsageError: there is no such format, or something else is at the target.
    """
    rows = index_rows(index, passages=index.manifest["most_passages"] > 1)
    with tqdm(desc="exporting", total=len(index.vectors), unit=" vectors", disable=not verbose) as bar:
        return write_vectors(target, _shown(rows, bar), format, overwrite=overwrite)


def _of_dimension(batches: Iterable[Batch], model: DenseEncoder, source: Path | str) -> Iterator[Batch]:
    for ids, vectors in batches:
        if vectors.shape[1] != model.dimension:
            raise IndexingError(f"{source} holds vectors of {vectors.shape[1]} dimensions, {model.name} makes {model.dimension}")
        yield ids, vectors


def _shown(batches: Iterable[Batch], bar: tqdm[Any]) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        bar.update(len(batch[0]))


def _rows(batches: Iterable[Batch], encoding: Encoding | None) -> Iterator[dict[str, Any]]:
    """The rows that ``AnceIndex.index`` takes."""
    cut = encoding is not None and encoding.passages is not None
    for ids, vectors in batches:
        for one, vector in zip(ids, vectors, strict=True):
            if cut and not _PASSAGE.fullmatch(one):
                raise IndexingError(
                    f"ids of passages, like d7{PASSAGE_SEPARATOR}0, were expected, found {one!r}; without passages, ids are documents"
                )
            yield {"docno": one, "doc_vec": vector, "encoding": encoding}
