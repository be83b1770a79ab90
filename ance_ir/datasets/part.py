"""A part of a dataset, for trials: some of its queries, and few documents beyond those that these are about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.datasets.screening import Document
from ance_ir.digests import digest_of
from ance_ir.errors import DatasetNotFoundError, UsageError


class Part(Dataset):
    """Some queries of a dataset with all that belongs to them but run files, which rank other documents, and some of its documents.

    Queries and documents are chosen by hashes of their ids, so that a larger part holds a smaller one.

    Args:
        dataset: the whole.
        splits: the splits that are kept, ``SPLIT`` or ``SPLIT:N`` for N of its queries; none: all of them.
        documents: how many are kept: those that are relevant to the queries or named by their training instances, and others until there
            are so many; ``None``: all.

    Raises:
        DatasetNotFoundError: no such split.
        UsageError: no query of a split would be kept.
    """

    def __init__(self, dataset: Dataset, splits: Sequence[str] = (), documents: int | None = None) -> None:
        self.name = dataset.name
        self.holds = dataset.holds
        self._whole = dataset
        self._most = documents
        self._counts = dict(_counted(dataset, split) for split in splits or dataset.splits)

    @property
    def fingerprint(self) -> str:
        """Hash of the whole's, and of what is kept."""
        return digest_of([self._whole.fingerprint, self._counts, self._most])

    @property
    def corpus_fingerprint(self) -> str:
        """Likewise; the queries decide which documents are kept."""
        return self._whole.corpus_fingerprint if self._most is None else digest_of([self._whole.corpus_fingerprint, self.fingerprint])

    @property
    def language(self) -> str | None:
        """The whole's."""
        return self._whole.language

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that are kept, in the order of the whole's."""
        return tuple(split for split in self._whole.splits if split in self._counts)

    def documents(self) -> Documents:
        """The documents that are kept, in their order.

        Raises:
            UsageError: fewer were to be kept than the queries are about.
        """
        return Documents(self._documents, count=self._whole.documents().count if self._most is None else None)

    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` and ``query``."""
        queries, count = self._whole.queries(split), self._counts.get(split)
        if count is None or count >= len(queries):
            return queries
        first = np.sort(np.argsort([_hash(qid) for qid in queries["qid"]], kind="stable")[:count])
        return queries.iloc[first].reset_index(drop=True)

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid``, ``docno`` and ``label``."""
        return self._of_queries(self._whole.qrels(split), split)

    def answers(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid``, ``query`` and ``answers``."""
        return self._of_queries(self._whole.answers(split), split)

    def instances(self, split: str = "train") -> Iterator[TrainingInstance]:
        """The training instances of the queries that are kept."""
        kept = set(self.queries(split)["qid"])
        return (instance for instance in self._whole.instances(split) if instance.qid in kept)

    def _of_queries(self, frame: pd.DataFrame, split: str) -> pd.DataFrame:
        return frame[frame["qid"].isin(self.queries(split)["qid"])].reset_index(drop=True)

    @cached_property
    def _named(self) -> frozenset[str]:
        """Docnos that are relevant to a query that is kept, or stand in one of its training instances."""
        found: set[str] = set()
        for split in self.splits:
            try:
                qrels = self.qrels(split)
            except DatasetNotFoundError:
                continue
            found.update(qrels["docno"][qrels["label"] > 0])
            for instance in self.instances(split):
                found.update(instance.positives, instance.negatives)
        return frozenset(found)

    def _documents(self) -> Iterator[Document]:
        documents = self._whole.usable_documents()
        if self._most is None:
            yield from documents
            return
        hashes = np.fromiter((_hash(one["docno"]) for one in documents if one["docno"] not in self._named), dtype=np.uint64)
        if (others := self._most - len(self._named)) < 0:
            raise UsageError(f"the queries of this part are about {len(self._named):,} documents; {self._most:,} are too few")
        last = np.sort(hashes)[:others][-1] if others and len(hashes) else None
        for document in documents:
            if document["docno"] in self._named or (last is not None and _hash(document["docno"]) <= last):
                yield document


def _counted(dataset: Dataset, text: str) -> tuple[str, int | None]:
    match = None if dataset.has_split(text) else re.fullmatch(r"(.+):(\d{1,9})", text)
    split, count = (match[1], int(match[2])) if match else (text, None)
    if not dataset.has_split(split):
        raise DatasetNotFoundError(f"{dataset.name} has no split {split!r}; splits: {', '.join(dataset.splits) or 'none'}")
    if count == 0:
        raise UsageError(f"{text}: at least 1 query is kept")
    return split, count


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
