"""A folder in BEIR's layout, by its path or by its name under ANCE_IR_DATA.

============================  =================================================================
``corpus.jsonl``              ``{"_id", "title"?, "text"}`` a line
``queries.jsonl``             ``{"_id", "text"}`` a line: the queries of all splits
``qrels/SPLIT.tsv``           a header line, then qid, docno and label with tabs between them
============================  =================================================================

Files may be gzipped; an archive that was unpacked into a folder of its own name is found, too.
"""

from __future__ import annotations

import contextlib
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.frames import queries_frame
from ance_ir.datasets.parsing import read_documents, read_json_queries, read_qrels
from ance_ir.datasets.source import Source, find_folder
from ance_ir.digests import hash_files
from ance_ir.errors import DatasetError, DatasetNotFoundError
from ance_ir.files import as_path
from ance_ir.reading import lines


class BeirDataset(Dataset):
    """The dataset in a folder of BEIR's layout.

    It is called ``beir/NAME``, so that BEIR's suite applies, and its rule on queries that are documents.

    Args:
        folder: the folder.

    Raises:
        DatasetNotFoundError: it is not in BEIR's layout.
        DatasetError: a file is there twice, plain and gzipped.
    """

    def __init__(self, folder: Path | str) -> None:
        given = as_path(folder)
        self.folder = given if _file(given, "corpus.jsonl") else given / given.resolve().name
        corpus, queries = (_file(self.folder, name) for name in ("corpus.jsonl", "queries.jsonl"))
        if corpus is None or queries is None or not _has_beirs_ids(corpus):
            raise DatasetNotFoundError(f"{given} is not in BEIR's layout: corpus.jsonl, queries.jsonl, and qrels/SPLIT.tsv")
        self._corpus, self._queries = corpus, queries
        self.name = f"beir/{self.folder.resolve().name}"
        found = {path.name.removesuffix(".gz") for path in (self.folder / "qrels").glob("*.tsv*")}
        names = {name.removesuffix(".tsv") for name in found if name.endswith(".tsv")}
        splits = sorted(names, key=lambda split: (split != "test", split))
        self._qrels = {split: path for split in splits if (path := _file(self.folder / "qrels", f"{split}.tsv"))}

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.folder.resolve())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the corpus, queries and judgements, names and contents."""
        return hash_files([self._corpus, self._queries, *self._qrels.values()])

    @cached_property
    def corpus_fingerprint(self) -> str:
        """Hash of the corpus file."""
        return hash_files([self._corpus])

    @property
    def corpus_bytes(self) -> int:
        """Size of the corpus file, in bytes."""
        return self._corpus.stat().st_size

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits with judgements, ``"test"`` first, then by name; ``"test"`` alone if there are no judgements."""
        return tuple(self._qrels) or ("test",)

    def documents(self) -> Documents:
        """The documents of ``corpus.jsonl``; reading raises MalformedFileError at a line that is no document."""
        return Documents(partial(read_documents, self._corpus, "_id"))

    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str, unique) and ``query`` (str): the queries that a split's judgements name, in the order of their file.

        Raises:
            DatasetNotFoundError: no such split.
            MalformedFileError: a line does not parse.
        """
        queries = queries_frame(read_json_queries(self._queries))
        if not self._qrels and split == "test":
            return queries
        return queries[queries["qid"].isin(self.qrels(split)["qid"])].reset_index(drop=True)

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64), from ``qrels/SPLIT.tsv``.

        Raises:
            DatasetNotFoundError: no judgements for that split.
            MalformedFileError: a line does not parse.
            DatasetError: a document has two labels for a query.
        """
        if split in self._qrels:
            return read_qrels(self._qrels[split], with_header=True)
        wanted, present = f"qrels/{split}.tsv in {self.folder}", ", ".join(self._qrels) or "none"
        raise DatasetNotFoundError(f"{self.name} has no judgements for the split {split!r}: looked for {wanted}; splits: {present}")

    def answers(self, split: str = "test") -> pd.DataFrame:
        """Never: BEIR's layout has no answers.

        Raises:
            DatasetNotFoundError: always.
        """
        raise DatasetNotFoundError(f"{self.name} has no answers: BEIR's layout has none")


def _file(folder: Path, name: str) -> Path | None:
    """The file of a name in a folder, plain or gzipped."""
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if len(found) > 1:
        raise DatasetError(f"{folder} has both {found[0].name} and {found[1].name}: remove one of them")
    return found[0] if found else None


def _has_beirs_ids(corpus: Path) -> bool:
    """Whether the first document has BEIR's key: a collection directory may hold a ``queries.jsonl`` of its owner's too."""
    with contextlib.closing(lines(corpus)) as found:
        first = next(found, None)
    return first is None or b'"_id"' in first.raw


def _open(name: str) -> BeirDataset | None:
    folder = find_folder(name)
    try:
        return BeirDataset(folder) if folder else None
    except DatasetNotFoundError:
        return None


SOURCE = Source(order=-1, open=_open, names=tuple)  # before ``directory``, which lists all folders
