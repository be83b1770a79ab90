"""The passages of documents that their vectors were made of, as characters of their texts, and their scores for a query."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ance_ir.datasets import DocumentStore
from ance_ir.datasets.screening import Document
from ance_ir.indexes import FirstP, parse_passages
from ance_ir.indexes.retriever import DenseTransformer
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.models.text.settings import given_fields
from ance_ir.ragged import rows_of, starts_of
from ance_ir.serve.replies import Passage

_KEPT = 10_000
"""Documents whose passages are remembered."""


class Passages:
    """Finds the passages of documents in the index of a system.

    Args:
        store: the documents' texts.
        dense: has the index and its model.
    """

    def __init__(self, store: DocumentStore, dense: DenseTransformer) -> None:
        self._store = store
        self._dense = dense
        self._spans = lru_cache(_KEPT)(self._spans_of)

    @property
    def model(self) -> DenseEncoder:
        """What the vectors are of."""
        return self._dense.model

    @property
    def several(self) -> bool:
        """Whether documents may have more than one."""
        return int(self._dense.index.manifest["most_passages"]) > 1

    def best(self, docnos: Sequence[str], query_D: np.ndarray) -> list[Passage | None]:
        """The passage of each document that scores best; ``None`` where its text was cut in another way, or is not known."""
        return [max(found, key=_score) if found else None for found in self.of(docnos, query_D)]

    def of(self, docnos: Sequence[str], query_D: np.ndarray | None = None) -> list[list[Passage]]:
        """The passages of documents, in their order, with scores where there is a query's vector; none as for ``best``."""
        index = self._dense.index
        encoding = index.manifest["encoding"]
        scheme = encoding["passages"] if encoding else None
        rows, stored = index.numbers(docnos), self._store.numbers(docnos)
        known = np.flatnonzero((rows >= 0) & (stored >= 0))
        first, counts = index.table.rows(rows[known])
        scores: list[float | None] = [None] * int(counts.sum())
        if query_D is not None:
            scores = (index.vectors.get(rows_of(first, counts)) @ query_D).tolist()
        found: list[list[Passage]] = [[] for _ in docnos]
        for place, begin, count in zip(known.tolist(), starts_of(counts).tolist(), counts.tolist(), strict=True):
            spans = self._spans(int(stored[place]), scheme)
            if len(spans) == count:
                found[place] = [
                    {"number": number, "start": start, "end": end, "score": scores[begin + number]}
                    for number, (start, end) in enumerate(spans)
                ]
        return found

    def _spans_of(self, number: int, passages: str | None) -> tuple[tuple[int, int], ...]:
        return text_spans(self._store[number], self._dense.model, parse_passages(passages) if passages else FirstP())


def text_spans(document: Document, model: DenseEncoder, scheme: PassageScheme) -> tuple[tuple[int, int], ...]:
    """Where the passages of a document lie in its text; a passage that ends before the text begins is empty."""
    settings = model.settings
    joined = settings.join(document)
    fields = given_fields(document, settings.fields)
    if isinstance(joined, tuple):
        fields.pop("title", None)
    if "text" not in fields:
        return ()
    before = list(fields)[: list(fields).index("text")]
    start = sum(len(fields[name]) + len(settings.separator) for name in before)
    length = len(document["text"])
    return tuple((_within(first - start, length), _within(last - start, length)) for first, last in model.tokenizer.spans(joined, scheme))


def _within(place: int, length: int) -> int:
    return min(max(place, 0), length)


def _score(passage: Passage) -> float:
    return passage["score"] or 0.0
