"""Reusing the vectors of unchanged documents from an index that the same model made of an earlier state of the corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ance_ir.errors import FingerprintError, IndexingError
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.models import Encoding
from ance_ir.ragged import rows_of


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
        self._index = index
        assert index.table.text_hashes is not None
        self._hashes = index.table.text_hashes

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

    def complete(
        self,
        docnos: Sequence[str],
        hashes: np.ndarray,
        encode: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Vectors of documents' passages; new and changed documents are encoded.

        Args:
            docnos: of N documents.
            hashes: of their texts, uint64 ``[N]``.
            encode: gives vectors and counts of those that are new, by their places, int64.

        Returns:
            float32 ``[passages, D]``, how many passages each document has, int64 ``[N]``, and how many documents were encoded.
        """
        numbers = self._index.numbers(docnos)
        known = numbers >= 0
        known[known] = self._hashes[numbers[known]] == hashes[known]
        new = np.flatnonzero(~known)
        fresh_PD, fresh_counts = encode(new)
        first, old_counts = self._index.table.rows(numbers[known])
        counts = np.zeros(len(docnos), dtype=np.int64)
        counts[known], counts[new] = old_counts, fresh_counts
        old_PD = self._index.vectors.get(rows_of(first, old_counts))
        vectors_PD = np.empty((counts.sum(), self._index.vectors.dimension), dtype=np.float32)
        from_old = np.repeat(known, counts)
        vectors_PD[from_old], vectors_PD[~from_old] = old_PD, fresh_PD
        return vectors_PD, counts, len(new)
