"""Test questions over DPR's passages, from a file of DPR's or Pyserini's.

A file has one of these forms:

==================================  ==============================================================================
a line of text                      question, tab, Python list of answers (DPR's ``nq-test.qa.csv``, Pyserini's topics)
a line of JSON                      ``{"question", "answer": [...]}`` or ``"answers"`` (CuratedTREC)
one JSON list                       ``[{"question", "answers": [...]}, …]`` (DPR's training and development files)
==================================  ==============================================================================

Plain or compressed. A question's qid is its place, from 0, as in Pyserini.
"""

from __future__ import annotations

import ast
import codecs
import csv
import reprlib
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.compression import find_file
from ance_ir.datasets.dataset import Dataset, Documents
from ance_ir.datasets.frames import answers_frame
from ance_ir.datasets.source import Source
from ance_ir.datasets.sources.irds import IrDataset
from ance_ir.digests import digest_bytes, hash_files
from ance_ir.errors import DatasetNotFoundError
from ance_ir.files import as_path, data_folder
from ance_ir.reading import Line, lines, open_binary, parse_json
from ance_ir.typed_json import type_fault

WIKIPEDIA = "dpr-w100"
"""The ``ir_datasets`` id of DPR's 21 million passages of Wikipedia."""

NAMED = {
    "nq": ("nq-test.qa.csv", "topics.nq.test.txt"),
    "triviaqa": ("trivia-test.qa.csv", "topics.dpr.trivia.test.txt"),
    "curated-trec": ("curatedtrec-test.qa.csv", "topics.dpr.curated.test.txt"),
}
"""Questions over these passages that ``ir_datasets`` does not hold, and the names that DPR and Pyserini give the file."""

_FOLDERS = (".", "qa-topics")


class QuestionFile(Dataset):
    """A dataset of another dataset's documents and the questions of a file, which are the split ``test``; it has no judgements.

    Args:
        corpus: has the documents.
        path: the file of questions.
        name: its name; by default the file's name.

    Raises:
        DatasetNotFoundError: there is no such file.
    """

    def __init__(self, corpus: Dataset, path: Path | str, name: str | None = None) -> None:
        self.corpus = corpus
        self.path = as_path(path)
        self.name = name or self.path.name
        if not self.path.is_file():
            raise DatasetNotFoundError(f"{self.path} is not a file of questions")

    @property
    def source(self) -> str:
        """The corpus and the file."""
        return f"{self.corpus.source} + {self.path.resolve()}"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the corpus and of the questions."""
        return digest_bytes([(self.corpus.corpus_fingerprint + hash_files([self.path])).encode()])

    @property
    def corpus_fingerprint(self) -> str:
        """The corpus' own."""
        return self.corpus.corpus_fingerprint

    @property
    def language(self) -> str | None:
        """The corpus' own."""
        return self.corpus.language

    @property
    def splits(self) -> tuple[str, ...]:
        """``("test",)``."""
        return ("test",)

    def documents(self) -> Documents:
        """The corpus."""
        return self.corpus.documents()

    def queries(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str, from "0") and ``query`` (str).

        Raises:
            DatasetNotFoundError: another split than ``test``.
            MalformedFileError: a line does not parse.
        """
        return self.answers(split)[["qid", "query"]]

    def qrels(self, split: str = "test") -> pd.DataFrame:
        """There are none.

        Raises:
            DatasetNotFoundError: always.
        """
        raise DatasetNotFoundError(f"{self.name} has no qrels: it is a file of questions and answers")

    def answers(self, split: str = "test") -> pd.DataFrame:
        """Frame of ``qid`` (str), ``query`` (str) and ``answers`` (list of str).

        Raises:
            DatasetNotFoundError: another split than ``test``.
            MalformedFileError: a line does not parse.
        """
        if split != "test":
            raise DatasetNotFoundError(f"{self.name} has no split {split!r}: a file of questions is one split, 'test'")
        return self._answers

    @cached_property
    def _answers(self) -> pd.DataFrame:
        return answers_frame((str(number), question, answers) for number, (question, answers) in enumerate(read_questions(self.path)))


def read_questions(path: Path | str) -> Iterator[tuple[str, list[str]]]:
    """The questions of a file in any of the forms, each with its answers.

    Raises:
        MalformedFileError: a line is no question with a list of answers.
    """
    path = as_path(path)
    with open_binary(path) as stream:
        start = stream.read(1024).removeprefix(codecs.BOM_UTF8).lstrip(b" \r\n")
    if start.startswith(b"["):
        yield from _list(path)
        return
    for line in lines(path):
        yield _object(line, line.json()) if start.startswith(b"{") else _row(line)


def _row(line: Line) -> tuple[str, list[str]]:
    try:
        columns = next(csv.reader([line.text], delimiter="\t", strict=True))  # as DPR writes
    except csv.Error:
        columns = line.text.split("\t")  # as Pyserini does, which quotes nothing
    answers = _strings(_literal(columns[1])) if len(columns) == 2 else None
    if not columns[0].strip() or answers is None:
        raise line.error("a line 'question<tab>[answers]', the answers a Python list of strings")
    return columns[0].strip(), answers


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # of backslashes in answers
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _object(line: Line, value: dict[str, Any]) -> tuple[str, list[str]]:
    answers = _strings(value.get("answer", value.get("answers")))
    question: Any = value.get("question")
    if type_fault(question, str) or not question.strip() or answers is None:
        raise line.error('an object with "question" and a list of strings under "answer" or "answers"')
    return question.strip(), answers


def _list(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The entries of one JSON list, which is read whole."""
    with open_binary(path) as stream:
        entries = parse_json(path, stream.read())
    for number, entry in enumerate(entries, 1):
        shown = reprlib.repr(entry)  # shortened
        yield _object(Line(path, number, shown.encode(errors="backslashreplace")), entry if isinstance(entry, dict) else {})


def _strings(answers: Any) -> list[str] | None:
    return list(answers) if isinstance(answers, list | tuple) and not type_fault(answers, list[str]) else None


def _open(name: str) -> QuestionFile | None:
    name_of_file = name.removesuffix("/test")
    return QuestionFile(IrDataset(WIKIPEDIA), _find(name_of_file), name) if name_of_file in NAMED else None


def _find(name: str) -> Path:
    """The file with the questions of that name.

    Raises:
        DatasetNotFoundError: it is not in the data folder.
    """
    data = data_folder()
    places = (find_file(data / folder, file) for folder in _FOLDERS for file in NAMED[name]) if data else ()
    found = next(filter(None, places), None)
    if found is None:
        raise DatasetNotFoundError(
            f"{name}'s test questions are not in ir_datasets: put DPR's {NAMED[name][0]} (dl.fbaipublicfiles.com/dpr/data/retriever) "
            f"or Pyserini's {NAMED[name][1]}, plain or compressed, into the folder that ANCE_IR_DATA names ({data or 'not set'})"
        )
    return found


SOURCE = Source(order=2, open=_open, names=lambda: NAMED)
