"""What a dataset is: documents, queries, judgements and answers, wherever they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import pandas as pd
import pyterrier as pt

from ance_ir.datasets.loader import TextLoader
from ance_ir.datasets.screening import Document, OnError, Unusable
from ance_ir.datasets.store import DocumentStore
from ance_ir.files import cache_folder


class Documents:
    """A stream of documents that can be read again and again, each time the same from the start.

    Args:
        source: opens the stream once more.
        count: its length where that is known without reading it.
    """

    def __init__(self, source: Callable[[], Iterator[Document | Unusable]], *, count: int | None = None) -> None:
        self._source = source
        self.count = count

    def __iter__(self) -> Iterator[Document]:
        for entry in self._source():
            if isinstance(entry, Unusable):
                raise entry.error
            yield entry

    def entries(self) -> Iterator[Document | Unusable]:
        """The documents, and what stands in the place of one."""
        return self._source()


class Dataset(ABC):
    """A corpus with the queries, judgements and answers that belong to it. Nothing is read before it is asked for."""

    name: str

    @property
    def source(self) -> str:
        """What ``load_dataset`` opens it by on this machine."""
        return self.name

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of the dataset: equal for equal content, another as soon as any of it changes."""

    @property
    @abstractmethod
    def corpus_fingerprint(self) -> str:
        """Hash of the documents alone; datasets that share a corpus share it, and with it one document store."""

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Names of the sets of queries, ``"test"`` first if there is one."""

    @abstractmethod
    def documents(self) -> Documents:
        """The corpus, in its own order."""

    @abstractmethod
    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str, unique) and ``query`` (str).

        Raises:
            DatasetNotFoundError: no such split.
        """

    @abstractmethod
    def qrels(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64): the judgements.

        Raises:
            DatasetNotFoundError: no judgements for that split.
        """

    @abstractmethod
    def answers(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``query`` (str) and ``answers`` (list of str).

        Raises:
            DatasetNotFoundError: no answers for that split.
        """

    def store(self, verbose: bool = False, on_error: OnError = "raise") -> DocumentStore:
        """The documents by docno and number: built in the cache folder on first use, then reopened.

        Args:
            verbose: show progress while building.
            on_error: what to do with documents that cannot be used; see ``OnError``.

        Raises:
            DatasetError: an empty corpus, or, unless these are left out, a docno that occurs twice or something that is no document.
            UsageError: there is no such policy.
        """
        suffix = "" if on_error == "raise" else f"-{on_error}"
        folder = cache_folder() / "documents" / f"{self.corpus_fingerprint}{suffix}"
        if not DocumentStore.is_complete(folder):
            documents = self.documents()
            DocumentStore.build(documents.entries(), folder, count=documents.count, on_error=on_error, verbose=verbose)
        return DocumentStore(folder)

    def text_loader(self, fields: Sequence[str] = ("text",)) -> pt.Transformer:
        """A transformer that adds text columns to any frame with ``docno``.

        Args:
            fields: of ``"text"``, ``"title"`` and ``"url"``; a document without one has ``""`` there.

        Raises:
            UsageError: another field, or none.
        """
        return TextLoader(self.store, fields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
