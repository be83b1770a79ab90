"""A collection directory.

It is a folder of plain or compressed text files:

=============================  =====================================================
``corpus.jsonl``               ``{"docno", "title"?, "url"?, "text"}`` a line
``queries[.SPLIT].tsv``        qid, tab, text
``qrels[.SPLIT].txt``          TREC's four columns: qid, anything, docno, label
``answers[.SPLIT].jsonl``      ``{"qid", "question", "answers"}`` a line
``instances[.SPLIT].jsonl``    ``{"qid", "positives", "negatives"?, …}`` a line: training instances by docnos
``run.NAME[.SPLIT].txt``       TREC's six columns
=============================  =====================================================

A name without SPLIT belongs to ``test``. Compressed files are recognised by their content.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from ance_ir.compression import find_file, plain_name
from ance_ir.datasets.contents import FIELDS, Contents
from ance_ir.datasets.file_dataset import FileDataset, Parts
from ance_ir.datasets.hashes import hash_of_files
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._writing import write_columns, write_json_lines
from ance_ir.datasets.parsing import read_answers, read_documents, read_qrels, read_queries
from ance_ir.datasets.recognition import hint_folder
from ance_ir.datasets.rows import document_columns
from ance_ir.datasets.tables import open_table
from ance_ir.errors import DatasetError, DatasetNotFoundError, MalformedFileError
from ance_ir.files import as_path, atomic_folder
from ance_ir.reading import lines

SUFFIXES = {"queries": "tsv", "qrels": "txt", "answers": "jsonl", "instances": "jsonl"}

_PART = re.compile(r"(?P<part>queries|qrels|answers|instances)(?:\.(?P<split>.+))?\.(?P<suffix>tsv|txt|jsonl)")
_RUN = re.compile(r"run\.(?P<name>[^.]+)(?:\.(?P<split>.+))?\.txt")


class DirectoryDataset(FileDataset):
    """The dataset in a collection directory.

    Args:
        folder: the directory.
        name: its name; by default the name of the directory.

    Raises:
        DatasetNotFoundError: it is not a directory, or has no corpus.
        DatasetError: a file is there twice, for example plain and compressed.
    """

    def __init__(self, folder: Path | str, name: str | None = None) -> None:
        self.folder = as_path(folder)
        if not self.folder.is_dir():
            raise DatasetNotFoundError(f"{self.folder} is not a directory")
        files: dict[tuple[str, str], Path] = {}
        runs: dict[tuple[str, str], Path] = {}
        for path in sorted(self.folder.iterdir()):
            plain = plain_name(path.name)
            if plain == "corpus.jsonl":
                self._add(files, ("corpus", ""), path)
            elif (match := _PART.fullmatch(plain)) and match["suffix"] == SUFFIXES[match["part"]]:
                self._add(files, (match["part"], match["split"] or "test"), path)
            elif match := _RUN.fullmatch(plain):
                self._add(runs, (match["name"], match["split"] or "test"), path)
        if ("corpus", "") not in files:
            message = (
                f"{self.folder} is not a collection directory: it has no corpus.jsonl, plain or compressed; nor are there text files "
                "(.txt, .md) in it, or files of another layout: `ance-ir layouts` lists them"
            )
            raise DatasetNotFoundError(self._hinted(message))
        corpus = files.pop(("corpus", ""))
        parts = Parts(
            corpus=[corpus],
            documents=partial(read_documents, corpus),
            files=[path for _, path in sorted(files.items())],
            runs=runs,
            sought={kind: partial(_name, kind) for kind in SUFFIXES},
            **{part: {split: partial(read, path) for (of, split), path in files.items() if of == part} for part, read in _READERS.items()},
        )
        super().__init__(self.folder, name or self.folder.resolve().name, parts, layout="collection", holds=LAYOUT.holds)

    def _add(self, table: dict[tuple[str, str], Path], key: tuple[str, str], path: Path) -> None:
        if other := table.get(key):
            raise DatasetError(f"{self.folder} has both {other.name} and {path.name}: remove one of them")
        table[key] = path

    def _hash(self, files: Iterable[Path]) -> str:
        """Hash of the names and contents, as they were hashed before there were other layouts: nothing here is read in two ways."""
        return hash_of_files(files)

    def _missing(self, kind: str, split: str, present: str) -> str:
        return self._hinted(super()._missing(kind, split, present))

    def _hinted(self, message: str) -> str:
        """The message with a hint on what the directory looks like."""
        return ". ".join(filter(None, [message, hint_folder(self.folder)]))


def _name(kind: str, split: str) -> str:
    """The name of a file."""
    return f"{kind}.{SUFFIXES[kind]}" if split == "test" else f"{kind}.{split}.{SUFFIXES[kind]}"


def _read_instances(path: Path) -> Iterator[TrainingInstance]:
    """The training instances of a file."""
    for line in lines(path):
        value = line.json()
        qid = line.string(value, "qid")
        found = {name: value.get(name) or [] for name in _LISTS}
        for name, kind in _LISTS.items():
            if not isinstance(found[name], list) or not all(isinstance(one, kind) for one in found[name]):
                raise line.error(f"a list of {'docnos' if kind is str else 'numbers'} under the key {name!r}")
        scores = [("positives", "positive_scores"), ("negatives", "negative_scores")]
        if bad := [name for of, name in scores if found[name] and len(found[name]) != len(found[of])]:
            raise line.error(f"as many {bad[0]} as documents")
        given: dict[str, Any] = {name: tuple(values) for name, values in found.items()}
        yield TrainingInstance(qid=qid, prompt=str(value.get("prompt") or ""), **given)


_LISTS: dict[str, Any] = {"positives": str, "negatives": str, "positive_scores": (int, float), "negative_scores": (int, float)}
_READERS: dict[str, Any] = {"queries": read_queries, "qrels": read_qrels, "answers": read_answers, "instances": _read_instances}


def _open(path: Path, name: str, columns: Mapping[str, str]) -> DirectoryDataset | None:
    corpus = find_file(path, "corpus.jsonl") if path.is_dir() and not columns else None
    return None if corpus is None or _is_of_others(path, corpus) else DirectoryDataset(path, name)


def _is_of_others(folder: Path, corpus: Path) -> bool:
    """Whether the first document has its id under another name, as Tevatron's corpora have, and there are no queries of ours."""
    if any((part := _PART.fullmatch(plain_name(path.name))) and part["part"] == "queries" for path in folder.iterdir()):
        return False
    with contextlib.suppress(MalformedFileError):  # which reading says
        found = document_columns(open_table(corpus).first())
        return found is not None and found.docno not in (None, "docno")
    return False


def _write(contents: Contents, out: Path) -> None:
    """A collection directory."""
    with atomic_folder(out, "corpus.jsonl") as folder:
        write_json_lines(folder / "corpus.jsonl", contents.documents())
        for split in contents.splits:
            _write_split(contents, split, folder, "" if split == "test" else f".{split}")


def _write_split(contents: Contents, split: str, folder: Path, middle: str) -> None:
    write_columns(folder / f"queries{middle}.tsv", contents.queries(split).itertuples(index=False))
    if (qrels := contents.qrels(split)) is not None:
        judged = ((row.qid, 0, row.docno, row.label) for row in qrels.itertuples())
        write_columns(folder / f"qrels{middle}.txt", judged, delimiter=" ")
    if (answers := contents.answers(split)) is not None:
        rows = ({"qid": row.qid, "question": row.query, "answers": row.answers} for row in answers.itertuples())
        write_json_lines(folder / f"answers{middle}.jsonl", rows)
    if contents.has_negatives(split):
        write_json_lines(folder / f"instances{middle}.jsonl", map(_of_instance, contents.instances(split)))
    for name, path in contents.runs(split).items():
        suffixes = path.name.partition(".txt")[2]  # of a compression
        shutil.copyfile(path, folder / f"run.{name}{middle}.txt{suffixes}")


def _of_instance(instance: TrainingInstance) -> dict[str, Any]:
    values = {one.name: getattr(instance, one.name) for one in fields(TrainingInstance)}
    return {name: value for name, value in values.items() if value}


LAYOUT = Layout(
    order=20,
    open=_open,
    holds=frozenset(FIELDS),
    example="corpus.jsonl, queries.SPLIT.tsv, qrels.SPLIT.txt",
    marks=("corpus.jsonl",),
    write=_write,
)
