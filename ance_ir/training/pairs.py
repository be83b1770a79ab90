"""Pairs of training queries and documents that come with the data, as arrays: positives, negatives, a teacher's scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from ance_ir.datasets import DocumentStore
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.datasets.store.documents import text_hash
from ance_ir.notices import examples
from ance_ir.ragged import owners_of, rows_of

logger = logging.getLogger(__name__)

_BLOCK = 4096
"""Instances whose documents are looked up together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """P pairs of a query and a document, in the data's order; one may come several times.

    Attributes:
        queries: their numbers, int64 ``[P]``.
        documents: their numbers, int64 ``[P]``.
        places: of negatives their place among those of their instance, int64 ``[P]``; −1 for positives.
        scores: a teacher's, float32 ``[P]``; NaN where there is none.
        margins: whether some of them were made of margins, so that they compare with each other alone.
    """

    queries: np.ndarray
    documents: np.ndarray
    places: np.ndarray
    scores: np.ndarray
    margins: bool = False

    @classmethod
    def read(
        cls, instances: Iterable[TrainingInstance], queries: Mapping[str, int], numbers: Callable[[Sequence[str]], np.ndarray], name: str
    ) -> Pairs:
        """The pairs of training instances; those of other queries are left out, and, with a warning, those of unknown documents.

        Args:
            instances: read once, as a stream.
            queries: numbers of queries by their qids.
            numbers: gives the numbers of docnos, −1 for unknown ones.
            name: of the data, for the warning.
        """
        blocks = [cls.of([], [], [], [])]
        missing: dict[str, None] = {}
        stream = (instance for instance in instances if instance.qid in queries)
        while block := list(islice(stream, _BLOCK)):
            rows = [row for instance in block for row in _rows(instance)]
            found = numbers([docno for docno, _, _ in rows])
            missing |= {docno: None for (docno, _, _), number in zip(rows, found, strict=True) if number < 0}
            asked = np.repeat(
                [queries[instance.qid] for instance in block], [len(instance.positives) + len(instance.negatives) for instance in block]
            )
            pairs = cls.of(asked, found, [place for _, place, _ in rows], [score for _, _, score in rows])
            blocks.append(replace(pairs.where(found >= 0), margins=any(instance.margins for instance in block)))
        if missing:
            message = "%d documents of %s are not in the corpus (%s); their pairs are left out"
            logger.warning(message, len(missing), name, examples(missing))
        return cls.joined(blocks)

    @classmethod
    def of(cls, queries: npt.ArrayLike, documents: npt.ArrayLike, places: npt.ArrayLike, scores: npt.ArrayLike) -> Pairs:
        """Pairs of P values each."""
        values = {"queries": queries, "documents": documents, "places": places, "scores": scores}
        parts: dict[str, Any] = {part: np.asarray(values[part], dtype) for part, dtype in _PARTS.items()}
        return cls(**parts)

    @classmethod
    def joined(cls, parts: Iterable[Pairs]) -> Pairs:
        """All pairs of several."""
        parts = list(parts)
        values: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _PARTS}
        return cls(**values, margins=any(part.margins for part in parts))

    def shifted(self, query: int, document: int) -> Pairs:
        """The same pairs where queries and documents are numbered from these numbers on."""
        return replace(self, queries=self.queries + query, documents=self.documents + document)

    def where(self, chosen: np.ndarray) -> Pairs:
        """Some of the pairs, by a mask ``[P]`` or their rows."""
        return replace(self, **{part: getattr(self, part)[chosen] for part in _PARTS})

    def negatives(self, queries: int) -> list[np.ndarray]:
        """Of each of the queries its negatives, int64, each once: the first of each of its instances, then the second, and so on."""
        chosen = self.where(self.places >= 0)
        chosen = chosen.where(np.lexsort((chosen.places, chosen.queries)))
        keys = chosen.queries * (chosen.documents.max(initial=0) + 1) + chosen.documents
        chosen = chosen.where(np.sort(np.unique(keys, return_index=True)[1]))
        return np.split(chosen.documents, np.searchsorted(chosen.queries, np.arange(1, queries)))

    def translated(self, queries: Sequence[np.ndarray], theirs: DocumentStore, ours: DocumentStore, name: str) -> Pairs:
        """The same pairs for the queries and documents of other data: the document of the same docno and text, else all of the same
        text, else, with a warning, that of the same docno.

        Args:
            queries: of each query its numbers there.
            theirs: the documents of these pairs.
            ours: the documents that are asked for.
            name: of these pairs, for the warning.
        """
        rows, asked = _all_of(self.queries, np.array([len(found) for found in queries]), np.concatenate([*queries, []]).astype(np.int64))
        pairs = replace(self.where(rows), queries=asked)
        known, places = np.unique(pairs.documents, return_inverse=True)
        owners, targets = _documents_of(known, theirs, ours, name)
        rows, documents = _all_of(places, np.bincount(owners, minlength=len(known)), targets)
        return replace(pairs.where(rows), documents=documents)


def _documents_of(numbers_T: np.ndarray, theirs: DocumentStore, ours: DocumentStore, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The documents of another store: that of the same docno and text, else all of the same title and text, else that of the docno or,
    where there is none, all of that text. Docnos are numbers in many files, so that a docno alone says little.

    Returns:
        The places of numbers and the documents that they stand for, int64, in the order of the places.
    """
    named, sought = ours.numbers(theirs.docnos(numbers_T).tolist()), theirs.text_hashes[numbers_T]
    same = named >= 0
    same[same] = ours.text_hashes[named[same]] == sought[same]
    for place in np.flatnonzero((named >= 0) & ~same).tolist():  # a layout may have left titles out
        same[place] = _text_of(ours, named[place]) == _text_of(theirs, numbers_T[place])
    found = [(np.flatnonzero(same), named[same])]
    left = np.flatnonzero(~same)
    owners, targets = _alike(ours.text_hashes, sought[left])
    found.append((left[owners], targets))
    left = np.setdiff1d(left, left[owners])
    if len(others := left[named[left] >= 0]):
        found.append((others, named[others]))
        message = "%d documents of %s have the docno of a document in the corpus, and another text (%s): they are taken for the same"
        logger.warning(message, len(others), name, examples(theirs.docnos(numbers_T[others]).tolist()))
    if len(left := left[named[left] < 0]):
        owners, targets = _alike(_without_titles(ours), sought[left])
        found.append((left[owners], targets))
    owners, targets = (np.concatenate(side) for side in zip(*found, strict=True))
    order = np.argsort(owners, kind="stable")
    return owners[order], targets[order]


def _text_of(store: DocumentStore, number: int) -> list[str]:
    return store[int(number)]["text"].split()


def _without_titles(store: DocumentStore) -> np.ndarray:
    """Hashes of the texts alone, uint64 ``[N]``: layouts that cannot hold titles have left them out."""
    hashes = (text_hash({"docno": "", "text": document["text"]}) for document in store)
    return np.fromiter(hashes, dtype=np.uint64, count=len(store))


def _alike(hashes_N: np.ndarray, sought_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places of hashes that were sought and of those that are equal to them, a row for each pair."""
    order = np.argsort(hashes_N, kind="stable")
    ordered = hashes_N[order]
    starts = np.searchsorted(ordered, sought_T)
    counts = np.searchsorted(ordered, sought_T, "right") - starts
    return owners_of(counts), order[rows_of(starts, counts)]


_PARTS = {"queries": "int64", "documents": "int64", "places": "int64", "scores": "float32"}


def _rows(instance: TrainingInstance) -> Iterator[tuple[str, int, float]]:
    """docno, place and score of each document of an instance."""
    sides = ((instance.positives, instance.positive_scores, False), (instance.negatives, instance.negative_scores, True))
    for docnos, scores, negative in sides:
        for place, docno in enumerate(docnos):
            yield docno, place if negative else -1, scores[place] if scores else np.nan


def _all_of(things_P: np.ndarray, counts_T: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row once for every target of its thing: the rows, and their targets.

    Args:
        things_P: the thing of each row.
        counts_T: how many targets each thing has.
        targets: those of all things, one thing after the other.
    """
    counts_P = counts_T[things_P]
    firsts_T = np.cumsum(counts_T) - counts_T
    return owners_of(counts_P), targets[rows_of(firsts_T[things_P], counts_P)]
