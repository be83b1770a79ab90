"""The base class of datasets: documents, queries, judgements and answers from any source."""

from __future__ import annotations

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import pandas as pd
import pyterrier as pt

from ance_ir.datasets.instances import TrainingInstance, instances_of_qrels
from ance_ir.datasets.loader import TextLoader
from ance_ir.datasets.screening import Document, OnError, Unusable
from ance_ir.datasets.store.documents import DocumentStore
from ance_ir.errors import DatasetError
from ance_ir.files import cache_folder, write_json
from ance_ir.locks import make_once
from ance_ir.notebooks import html_table
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)


class _Policy(TypedDict):
    on_error: OnError


_SUFFIXES: dict[OnError, str] = {"skip": "-skip"}
"""Endings of the names of stores that do not hold all documents."""


class Documents:
    """A stream of documents that can be read several times, each time from the start.

    Args:
        source: opens the stream.
        count: its length if that is known without reading it.
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
        """The documents, with ``Unusable`` in the place of those that cannot be used."""
        return self._source()


class Dataset(ABC):
    """A corpus with the queries, judgements and answers that belong to it. Nothing is read before it is asked for."""

    name: str
    holds: frozenset[str] | None = None
    """Which of ``FIELDS`` (``ance_ir.datasets.contents``) its form on disk can hold; ``None``: not known."""

    @property
    def source(self) -> str:
        """The name by which ``load_dataset`` opens it on this machine."""
        return self.name

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of the dataset's content."""

    @property
    @abstractmethod
    def corpus_fingerprint(self) -> str:
        """Hash of the documents alone; datasets with the same corpus share it, and one document store."""

    @property
    def language(self) -> str | None:
        """The language of the documents as the dataset's metadata names it, by its code in ISO 639 (``de``); ``None``: no or several."""
        return None

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Names of the sets of queries, ``"test"`` first if there is one."""

    def has_split(self, split: str) -> bool:
        """Whether there is a set of queries of that name."""
        return split in self.splits

    def queries_name(self, split: str = "test") -> str:
        """The name by which a split's queries are known, the same wherever they are opened from."""
        return self.name if split == "test" else f"{self.name}/{split}"

    def catalogued(self, split: str = "test") -> Mapping[str, int] | None:
        """Counts of a split by what is counted (``queries``, ``judgements``, ``relevant``, ``negatives``, ``candidates``), those that a
        catalogue has; ``None`` where the split is read to know them.
        """
        return None

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

    def instances(self, split: str = "train") -> Iterator[TrainingInstance]:
        """What the queries of a split are trained with: their positives, and the negatives and scores that come with the data.

        Raises:
            DatasetNotFoundError: no judgements for that split.
        """
        return instances_of_qrels(self.qrels(split))

    def store(self, verbose: bool = False, on_error: OnError | None = None) -> DocumentStore:
        """The documents by docno and number: built in the cache folder on first use, then reopened.

        Args:
            verbose: show progress while building.
            on_error: what to do with documents that cannot be used; see ``OnError``. It is remembered for this corpus, on this machine;
                ``None`` takes what was last set, at first ``"raise"``.

        Raises:
            DatasetError: the corpus is empty, or, unless such are left out, a docno occurs twice or an item is no document.
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
        if store.left_out and not built:  # when it was built they were reported
            logger.warning("%s", store.left_out_text())
        if chosen != self.on_error:
            write_json(self._policy_file, {"on_error": chosen})
        return store

    @property
    def has_store(self) -> bool:
        """Whether the store is already built."""
        return DocumentStore.is_complete(cache_folder() / "documents" / self.corpus_key)

    @property
    def on_error(self) -> OnError:
        """The policy for documents of this corpus that cannot be used: the one last given to ``store``."""
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
        """The key for caches of what is made from the usable documents; it differs if they do."""
        return f"{self.corpus_fingerprint}{_SUFFIXES.get(self.on_error, '')}"

    def usable_documents(self, verbose: bool = False) -> Iterable[Document]:
        """The documents except those that are left out, in the order of the corpus.

        Args:
            verbose: show progress if the store is built for this.

        Raises:
            DatasetError: a document that cannot be used, unless such are left out.
        """
        return self.documents() if self.on_error == "raise" else self.store(verbose)

    def text_loader(self, fields: Sequence[str] | str = "*", *, verbose: bool = False) -> pt.Transformer:
        """A transformer that adds text columns to any frame with ``docno``. ``pt.text.get_text`` calls it too.

        Args:
            fields: one or more of ``"text"``, ``"title"`` and ``"url"``, ``"*"`` for all; a document without one has ``""`` there.
            verbose: show progress when the documents are first written to the cache.

        Raises:
            UsageError: another field, or none.
        """
        return TextLoader(self.store, fields, verbose=verbose)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _repr_html_(self) -> str:
        """For notebooks: what is known without reading the corpus."""
        rows = {"source": self.source, "splits": ", ".join(self.splits) or "none"}
        with contextlib.suppress(DatasetError):
            if (count := self.documents().count) is not None:
                rows["documents"] = f"{count:,}"
        return html_table(repr(self), rows)
