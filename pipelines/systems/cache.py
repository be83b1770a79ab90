"""The dense indexes of datasets, in the cache folder."""

from __future__ import annotations

from ance_ir.datasets import Dataset
from ance_ir.digests import digest_of
from ance_ir.files import cache_folder
from ance_ir.indexes import AnceIndex, index_corpus
from ance_ir.locks import make_once
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.progress import Told


def dataset_dense(
    dataset: Dataset, model: DenseEncoder, passages: PassageScheme, *, verbose: bool = False, told: Told | None = None
) -> AnceIndex:
    """The dense index of a dataset's documents: built in the cache folder on first use, then reopened.

    There is one for each combination of documents, model weights, text settings, precision and passages. An interrupted build
    resumes.

    Args:
        dataset: its documents are indexed.
        model: the encoder.
        passages: how documents are split.
        verbose: show progress.
        told: is told the progress.
    """
    key = digest_of([model.fingerprint(), model.precision, str(passages)])
    path = cache_folder() / "dense" / dataset.corpus_key / f"{key}.ance"
    make_once(
        path,
        AnceIndex(path).built,
        lambda: index_corpus(path, model, dataset.store(verbose=verbose), passages, verbose=verbose, told=told),
        "encoding the documents",
    )
    return AnceIndex(path)
