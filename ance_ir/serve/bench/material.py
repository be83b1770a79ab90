"""What is served in measurements: the documents of a dataset, as many as asked for, and an index of them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ance_ir.datasets import Dataset, Document, load_dataset
from ance_ir.indexes import FirstP, index_corpus
from ance_ir.models import DenseEncoder

COLLECTION, INDEX = "collection", "x.ance"
_CACHE = "ANCE_IR_CACHE"


def write_material(folder: Path, dataset: Dataset, model: DenseEncoder, count: int, *, verbose: bool = False) -> Path:
    """Make a collection of the first documents of a dataset, and a dense index of it.

    Args:
        folder: gets both.
        dataset: its documents come again, under other docnos, where it has too few.
        model: the encoder, which lies in a folder.
        count: how many documents.
        verbose: show progress.
    """
    (folder / COLLECTION).mkdir(parents=True)
    with (folder / COLLECTION / "corpus.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(document) + "\n" for document in itertools.islice(_endless(dataset), count))
    index_corpus(folder / INDEX, model, load_dataset(folder / COLLECTION).store(verbose=verbose), FirstP(), verbose=verbose)
    return folder


@contextlib.contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """While entered, what is derived from collections goes to a folder, and not to the user's cache."""
    before = os.environ.get(_CACHE)
    os.environ[_CACHE] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(_CACHE)
        os.environ.update({} if before is None else {_CACHE: before})


def _endless(dataset: Dataset) -> Iterator[Document]:
    for again in itertools.count():
        for document in dataset.usable_documents():
            yield {**document, "docno": f"{document['docno']}+{again}"} if again else document
