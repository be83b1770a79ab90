"""Documents of a store as tokens: read and cut where that is wanted, in a thread or in another process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ance_ir.datasets import DocumentStore
from ance_ir.models import PassageScheme
from ance_ir.models.dense.encoding import PIECE, PIECE_CHARACTERS
from ance_ir.models.text.tokenizing import TextTokenizer
from ance_ir.models.text.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """Reads documents by their numbers and cuts them into passages; may be pickled.

    Attributes:
        store: the documents.
        tokenizer: makes tokens of them.
        passages: how they are cut.
    """

    store: DocumentStore
    tokenizer: TextTokenizer
    passages: PassageScheme

    def __call__(self, numbers: np.ndarray) -> Tokens:
        """Tokens of the documents of these numbers, int64."""
        texts = [self.tokenizer.settings.join(self.store[number]) for number in numbers.tolist()]
        return self.tokenizer.cut(texts, self.passages)

    def pieces(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        """The numbers in pieces that are cut at once: so many documents, or fewer that are long."""
        ends = np.cumsum(self.store.sizes(numbers))
        start, before = 0, 0
        while start < len(numbers):
            stop = min(start + PIECE, int(np.searchsorted(ends, before + PIECE_CHARACTERS)) + 1)
            yield numbers[start:stop]
            start, before = stop, int(ends[min(stop, len(ends)) - 1])
