"""Datasets in files of the user's: what all layouts have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd

from ance_ir.datasets.columns import with_columns
from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.frames import answers_frame, queries_frame
from ance_ir.datasets.hashes import hash_of_files
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.datasets.languages import card_language
from ance_ir.datasets.screening import Document, Unusable
from ance_ir.digests import digest_of
from ance_ir.errors import DatasetNotFoundError
from ance_ir.files import as_path

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a layout found at a path, and how it is read; functions are called when a part is asked for, and pickled with the dataset.

    Attributes:
        corpus: the files that the documents come from.
        documents: reads them.
        queries: by split, reads (qid, text).
        qrels: by split, reads a frame of ``qid``, ``docno`` and ``label``.
        answers: by split, reads (qid, question, answers).
        instances: by split, reads training instances, where these have more than the judgements.
        files: the files that all but documents and runs come from.
        runs: TREC runs by name and split.
        sought: by kind (``queries``, ``qrels``, ``answers``), the name in the folder that a file of a split would have, for messages.
    """

    corpus: Sequence[Path]
    documents: Callable[[], Iterator[Document | Unusable]]
    queries: Mapping[str, Callable[[], Iterable[tuple[str, str]]]] = field(default_factory=dict)
    qrels: Mapping[str, Callable[[], pd.DataFrame]] = field(default_factory=dict)
    answers: Mapping[str, Callable[[], Iterable[tuple[str, str, list[str]]]]] = field(default_factory=dict)
    instances: Mapping[str, Callable[[], Iterator[TrainingInstance]]] = field(default_factory=dict)
    files: Sequence[Path] = ()
    runs: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    sought: Mapping[str, Callable[[str], str]] = field(default_factory=dict)


class FileDataset(Dataset):
    """The dataset in a file or folder of the user's.

    Args:
        path: the file or folder.
        name: the dataset's name.
        parts: what is there.
        layout: the name of its layout.
        holds: which of ``FIELDS`` (``ance_ir.datasets.contents``) the layout holds.

    Attributes:
        parts: what is there.
        columns: the columns that the user named, theirs by ours.
        known_as: the id in ``ir_datasets`` of the collection whose files are called so, ``""`` if that is unknown; splits are called like
            the ids below it, with dots for slashes.
        opened_as: the name under which ``load_dataset`` finds it, if that is not the path.
    """

    def __init__(self, path: Path, name: str, parts: Parts, *, layout: str, holds: frozenset[str]) -> None:
        self.path = as_path(path)
        self.name = name
        self.layout = layout
        self.holds: frozenset[str] = holds
        self.parts = parts
        self.columns: Mapping[str, str] = {}
        self.known_as = ""
        self.opened_as = ""

    @property
    def source(self) -> str:
        """The path or name, and the columns that were named."""
        return with_columns(self.opened_as or str(self.path.resolve()), self.columns)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all files but runs, names and contents, and of how they are read."""
        return self._hash(sorted({*self.parts.corpus, *self.parts.files}))

    @cached_property
    def corpus_fingerprint(self) -> str:
        """Hash of the files of documents, and of how they are read."""
        return self._hash(self.parts.corpus)

    def _hash(self, files: Iterable[Path]) -> str:
        """Hash of files, their names in the dataset's folder and their contents, and of what decides how these are read."""
        folder = self.path if self.path.is_dir() else self.path.parent

        def named(path: Path) -> str:
            return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name

        return digest_of([hash_of_files(files, named), self.layout, dict(self.columns)])

    @cached_property
    def language(self) -> str | None:
        """The one that the folder's data card names."""
        return card_language(self.path if self.path.is_dir() else self.path.parent)

    @property
    def corpus_bytes(self) -> int:
        """Size of the files of documents, in bytes."""
        return sum(path.stat().st_size for path in self.parts.corpus)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits with queries, ``"test"`` first, then by name."""
        return _in_order(self.parts.queries)

    def queries_name(self, split: str = "test") -> str:
        """The id of ``ir_datasets`` for the queries of a split, where files of that name have such; as in other datasets otherwise."""
        return f"{self.known_as}/{split.replace('.', '/')}" if self.known_as else super().queries_name(split)

    def documents(self) -> Documents:
        """The documents; reading raises MalformedFileError at a record that is no document."""
        return Documents(self.parts.documents)

    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str, unique) and ``query`` (str).

        Raises:
            DatasetNotFoundError: no such split.
            MalformedFileError: a record does not parse.
        """
        return queries_frame(self._of(self.parts.queries, "queries", split)())

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64).

        Raises:
            DatasetNotFoundError: no judgements for that split.
            MalformedFileError: a record does not parse.
            DatasetError: a document has two labels for a query.
        """
        return self._of(self.parts.qrels, "qrels", split)()

    def answers(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``query`` (str) and ``answers`` (list of str).

        Raises:
            DatasetNotFoundError: no answers for that split.
            MalformedFileError: a record does not parse.
        """
        return answers_frame(self._of(self.parts.answers, "answers", split)())

    def instances(self, split: str = "train") -> Iterator[TrainingInstance]:
        """What the queries of a split are trained with: their positives, and the negatives and scores that come with the data.

        Raises:
            DatasetNotFoundError: no judgements for that split.
            MalformedFileError: a record does not parse.
        """
        read = self.parts.instances.get(split)
        return read() if read else super().instances(split)

    def runs(self, split: str = "test") -> dict[str, Path]:
        """The run files for a split by name, empty if there are none."""
        return {name: path for (name, of), path in self.parts.runs.items() if of == split}

    def _of(self, part: Mapping[str, T], kind: str, split: str) -> T:
        if split in part:
            return part[split]
        raise DatasetNotFoundError(self._missing(kind, split, ", ".join(_in_order(part)) or "none"))

    def _missing(self, kind: str, split: str, present: str) -> str:
        """The message about a part that a split does not have."""
        sought = self.parts.sought.get(kind)
        place = f": looked for {sought(split)}, plain or compressed, in {self.path}" if sought else ""
        return f"{self.name} ({self.layout}) has no {kind} for the split {split!r}{place}; splits with {kind}: {present}"


def _in_order(splits: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(splits, key=lambda split: (split != "test", split)))
