"""What a dataset is: documents, queries, judgements and answers, wherever they come from."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import pandas as pd
import pyterrier as pt

from ance_ir.datasets.loader import TextLoader
from ance_ir.datasets.screening import Document, OnError, Unusable
from ance_ir.datasets.store.documents import DocumentStore
from ance_ir.errors import DatasetError
from ance_ir.files import cache_folder, write_json
from ance_ir.locks import make_once
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)


class _Policy(TypedDict):
    on_error: OnError


_SUFFIXES: dict[OnError, str] = {"skip": "-skip"}
"""Of the stores that do not hold all documents."""


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

    def store(self, verbose: bool = False, on_error: OnError | None = None) -> DocumentStore:
        """The documents by docno and number: built in the cache folder on first use, then reopened.

        Args:
            verbose: show progress while building.
            on_error: what to do with documents that cannot be used; see ``OnError``. From then on it holds for whoever reads this corpus.
                ``None`` takes what holds, at first ``"raise"``.

        Raises:
            DatasetError: an empty corpus, or, unless these are left out, a docno that occurs twice or something that is no document.
            UsageError: there is no such policy.
        """
        chosen = on_error or self.on_error
        folder = cache_folder() / "documents" / f"{self.corpus_fingerprint}{_SUFFIXES.get(chosen, '')}"
        built: list[DocumentStore] = []

        def build() -> None:
            documents = self.documents()
            built.append(DocumentStore.build(documents.entries(), folder, count=documents.count, on_error=chosen, verbose=verbose))

        make_once(folder, lambda: DocumentStore.is_complete(folder), build, "writing the documents of this corpus")
        store = DocumentStore(folder)
        if store.left_out and not built:  # who builds it has said so
            logger.warning("%s", store.left_out_text())
        if chosen != self.on_error:
            write_json(self._policy_file, {"on_error": chosen})
        return store

    @property
    def has_store(self) -> bool:
        """Whether ``store`` has nothing to build."""
        return DocumentStore.is_complete(cache_folder() / "documents" / self.corpus_key)

    @property
    def on_error(self) -> OnError:
        """What holds for documents of this corpus that cannot be used: what ``store`` was last given."""
        try:
            policy: OnError = read_typed(self._policy_file, _Policy, error=DatasetError, remedy="remove the file")["on_error"]
        except FileNotFoundError:
            return "raise"
        return policy

    @property
    def _policy_file(self) -> Path:
        return cache_folder() / "documents" / f"{self.corpus_fingerprint}.json"

    @property
    def corpus_key(self) -> str:
        """The name under which what is made of the usable documents is cached: it differs where the corpus or its usable documents do."""
        return f"{self.corpus_fingerprint}{_SUFFIXES.get(self.on_error, '')}"

    def usable_documents(self, verbose: bool = False) -> Iterable[Document]:
        """The documents without those that are left out, in the order of the corpus; from the corpus itself where none are.

        Args:
            verbose: show progress where the store is built for it.

        Raises:
            DatasetError: one that cannot be used, unless these are left out.
        """
        return self.documents() if self.on_error == "raise" else self.store(verbose)

    def text_loader(self, fields: Sequence[str] | str = "*", *, verbose: bool = False) -> pt.Transformer:
        """A transformer that adds text columns to any frame with ``docno``; PyTerrier's protocol, so ``pt.text.get_text`` takes a dataset.

        Args:
            fields: one or more of ``"text"``, ``"title"`` and ``"url"``, ``"*"`` for all; a document without one has ``""`` there.
            verbose: show progress where the documents are first written to the cache.

        Raises:
            UsageError: another field, or none.
        """
        return TextLoader(self.store, fields, verbose=verbose)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
