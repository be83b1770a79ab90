"""The sparse indexes of datasets, in the cache folder."""

from __future__ import annotations

from ance_ir.datasets import Dataset
from ance_ir.digests import digest_of
from ance_ir.files import cache_folder
from ance_ir.locks import make_once
from ance_ir.models import SparseEncoder
from ance_ir.pipelines.sparse.index import BITS, SparseIndex
from ance_ir.progress import Told


def dataset_sparse(
    dataset: Dataset, model: SparseEncoder, *, bits: int = BITS, verbose: bool = False, told: Told | None = None
) -> SparseIndex:
    """The sparse index of a dataset's documents: built in the cache folder on first use, then reopened; one for each model and number of
    bits. An interrupted build resumes.

    Args:
        dataset: its documents are indexed.
        model: the encoder.
        bits: of a document's weights, 1 to 8.
        verbose: show progress.
        told: is told the progress.

    Raises:
        UsageError: another number of bits.
        MissingDependencyError: PISA is not installed.
    """
    path = cache_folder() / "sparse" / dataset.corpus_key / f"{digest_of([model.fingerprint(), bits])}.splade"
    index = SparseIndex(path, model, bits=bits)

    def build() -> None:
        store = dataset.store(verbose=verbose)
        index.build(map(dict, store), count=len(store), verbose=verbose, told=told)

    make_once(path, index.built, build, "building the sparse index")
    return index
