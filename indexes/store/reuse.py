"""Reusing the vectors of unchanged documents from an index that the same model made of an earlier state of the corpus."""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np

from ance_ir.datasets import DocumentStore
from ance_ir.errors import FingerprintError, IndexingError
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.models import Encoding
from ance_ir.ragged import rows_of

RUN = 512
"""Documents that are looked up together."""


class Reuse:
    """Takes vectors of unchanged documents from an index, by docnos and hashes of texts.

    Args:
        index: where vectors are taken from; it has a hash of each document's text.
        encoding: how the vectors must have been made.

    Raises:
        FingerprintError: the index was made in another way.
        IndexingError: it has no hashes of texts, or the model reads urls, which are not hashed.
    """

    def __init__(self, index: AnceIndex, encoding: Encoding) -> None:
        self.check(index)
        made = index.manifest["encoding"]
        if not encoding.same_model(made) or encoding.passages != made["passages"]:
            raise FingerprintError(
                f"{index.folder} was made by {made.get('model')} ({str(made.get('fingerprint'))[:12]}) with {made.get('passages')}, "
                f"not by {encoding.model} ({encoding.fingerprint[:12]}) with {encoding.passages}: weights, layers, text settings such as "
                "lengths, and passages must be the same for its vectors to be reused"
            )
        self.index = index

    @staticmethod
    def check(index: AnceIndex) -> None:
        """Refuse an index that does not record the texts of its documents.

        Raises:
            IndexingError: see above.
        """
        made = index.manifest["encoding"]
        if made is None or index.table.text_hashes is None or "url" in made["text"]["fields"]:
            raise IndexingError(
                f"{index.folder} has no hashes to find unchanged documents by (an index that `ance-ir index` or a refresh makes of "
                "titles and texts has); encode all documents"
            )

    def blocks(
        self, store: DocumentStore, numbers: np.ndarray, encode: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> Generator[tuple[np.ndarray, np.ndarray, int]]:
        """Vectors of documents' passages; new and changed documents are encoded.

        Args:
            store: of the documents.
            numbers: theirs, int64.
            encode: gives vectors and counts of documents by their numbers, int64.

        Returns:
            a generator, of N documents after N documents: float32 ``[passages, D]``, how many passages each has, int64 ``[N]``, and how
            many were encoded.
        """
        for run in np.split(numbers, range(RUN, len(numbers), RUN)):
            known_N, first, old_counts = self._found(store, run)
            fresh_PD, fresh_counts = encode(run[~known_N])
            counts = np.zeros(len(run), dtype=np.int64)
            counts[known_N], counts[~known_N] = old_counts, fresh_counts
            old_PD = self.index.vectors.get(rows_of(first, old_counts))
            vectors_PD = np.empty((counts.sum(), self.index.vectors.dimension), dtype=np.float32)
            from_old = np.repeat(known_N, counts)
            vectors_PD[from_old], vectors_PD[~from_old] = old_PD, fresh_PD
            yield vectors_PD, counts, int((~known_N).sum())

    def _found(self, store: DocumentStore, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which documents the index has unchanged, and of these the first rows and how many."""
        here = self.index.numbers(store.docnos(numbers).tolist())
        known = here >= 0
        text_hashes = self.index.table.text_hashes
        assert text_hashes is not None
        known[known] = text_hashes[here[known]] == store.text_hashes[numbers[known]]
        return known, *self.index.table.rows(here[known])
