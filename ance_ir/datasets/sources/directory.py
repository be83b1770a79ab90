"""A collection directory, by its path or by its name under ANCE_IR_DATA.

It is a folder of plain or gzipped text files:

=============================  =====================================================
``corpus.jsonl``               ``{"docno", "title"?, "url"?, "text"}`` a line
``queries[.SPLIT].tsv``        qid, tab, text
``qrels[.SPLIT].txt``          TREC's four columns: qid, anything, docno, label
``answers[.SPLIT].jsonl``      ``{"qid", "question", "answers"}`` a line
``run.NAME[.SPLIT].txt``       TREC's six columns
=============================  =====================================================

A name without SPLIT belongs to ``test``. Gzipped files are recognised by their content.
"""

from __future__ import annotations

import re
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.frames import answers_frame, queries_frame
from ance_ir.datasets.parsing import read_answers, read_documents, read_qrels, read_queries
from ance_ir.datasets.recognition import hint_folder
from ance_ir.datasets.source import Source, find_folder
from ance_ir.digests import hash_files
from ance_ir.errors import DatasetError, DatasetNotFoundError
from ance_ir.files import as_path, data_folder

SUFFIXES = {"queries": "tsv", "qrels": "txt", "answers": "jsonl"}

_PART = re.compile(r"(?P<part>queries|qrels|answers)(?:\.(?P<split>.+))?\.(?P<suffix>tsv|txt|jsonl)(?:\.gz)?")
_RUN = re.compile(r"run\.(?P<name>[^.]+)(?:\.(?P<split>.+))?\.txt(?:\.gz)?")


class DirectoryDataset(Dataset):
    """The dataset in a collection directory.

    Args:
        folder: the directory.
        name: its name; by default the name of the directory.

    Raises:
        DatasetNotFoundError: it is not a directory, or has no corpus.
        DatasetError: a file is there twice, for example plain and gzipped.
    """

    def __init__(self, folder: Path | str, name: str | None = None) -> None:
        self.folder = as_path(folder)
        self.name = name or self.folder.resolve().name
        if not self.folder.is_dir():
            raise DatasetNotFoundError(f"{self.folder} is not a directory")
        self._parts: dict[tuple[str, str], Path] = {}
        self._runs: dict[tuple[str, str], Path] = {}
        for path in sorted(self.folder.iterdir()):
            if path.name in ("corpus.jsonl", "corpus.jsonl.gz"):
                self._add(self._parts, ("corpus", ""), path)
            elif (match := _PART.fullmatch(path.name)) and match["suffix"] == SUFFIXES[match["part"]]:
                self._add(self._parts, (match["part"], match["split"] or "test"), path)
            elif match := _RUN.fullmatch(path.name):
                self._add(self._runs, (match["name"], match["split"] or "test"), path)
        if ("corpus", "") not in self._parts:
            message = f"{self.folder} is not a collection directory: it has no corpus.jsonl or corpus.jsonl.gz"
            raise DatasetNotFoundError(self._hinted(message))

    @property
    def source(self) -> str:
        """The directory."""
        return str(self.folder.resolve())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the corpus, queries, judgements and answers, names and contents (but not of run files)."""
        return hash_files(sorted(self._parts.values()))

    @cached_property
    def corpus_fingerprint(self) -> str:
        """Hash of the corpus file."""
        return hash_files([self._parts["corpus", ""]])

    @property
    def corpus_bytes(self) -> int:
        """Size of the corpus file, in bytes."""
        return self._parts["corpus", ""].stat().st_size

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits with queries, ``"test"`` first, then by name."""
        return self._splits("queries")

    def documents(self) -> Documents:
        """The documents of ``corpus.jsonl``; reading raises MalformedFileError at a line that is no document."""
        return Documents(partial(read_documents, self._parts["corpus", ""]))

    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str, unique) and ``query`` (str), from ``queries[.SPLIT].tsv``.

        Raises:
            DatasetNotFoundError: no such split.
            MalformedFileError: a line does not parse.
        """
        return queries_frame(read_queries(self._file("queries", split)))

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64), from ``qrels[.SPLIT].txt``.

        Raises:
            DatasetNotFoundError: no judgements for that split.
            MalformedFileError: a line does not parse.
            DatasetError: a document has two labels for a query.
        """
        return read_qrels(self._file("qrels", split))

    def answers(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``query`` (str) and ``answers`` (list of str), from ``answers[.SPLIT].jsonl``.

        Raises:
            DatasetNotFoundError: no answers for that split.
            MalformedFileError: a line does not parse.
        """
        return answers_frame(read_answers(self._file("answers", split)))

    def runs(self, split: str = "test") -> dict[str, Path]:
        """The run files for a split by NAME: ``run.NAME[.SPLIT].txt``, empty if there are none."""
        return {name: path for (name, of), path in self._runs.items() if of == split}

    def _add(self, table: dict[tuple[str, str], Path], key: tuple[str, str], path: Path) -> None:
        if other := table.get(key):
            raise DatasetError(f"{self.folder} has both {other.name} and {path.name}: remove one of them")
        table[key] = path

    def _splits(self, part: str) -> tuple[str, ...]:
        return tuple(sorted((split for kind, split in self._parts if kind == part), key=lambda split: (split != "test", split)))

    def _file(self, part: str, split: str) -> Path:
        if path := self._parts.get((part, split)):
            return path
        wanted = f"{part}.{SUFFIXES[part]}" if split == "test" else f"{part}.{split}.{SUFFIXES[part]}"
        present = ", ".join(self._splits(part)) or "none"
        raise DatasetNotFoundError(
            self._hinted(
                f"{self.name} has no {part} for the split {split!r}: looked for {wanted} and {wanted}.gz in {self.folder}; "
                f"splits with {part}: {present}"
            )
        )

    def _hinted(self, message: str) -> str:
        """The message with a hint on what the directory looks like."""
        return ". ".join(filter(None, [message, hint_folder(self.folder)]))


def _open(name: str) -> DirectoryDataset | None:
    folder = find_folder(name)
    if folder is None:
        return None
    return DirectoryDataset(folder, None if folder == as_path(name) else name)


def _names() -> list[str]:
    data = data_folder()
    return sorted(path.name for path in data.iterdir() if path.is_dir()) if data and data.is_dir() else []


SOURCE = Source(order=0, open=_open, names=_names)
