"""Reading the lines of collection files: each one checked, the first bad one named by file and number."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ance_ir.datasets.screening import NO_DOCUMENT, UNDECODABLE, Document, Unusable
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.files import open_binary


class Line:
    """One line of a file, and the error to raise where it is not what it should be."""

    def __init__(self, path: Path, number: int, raw: bytes) -> None:
        self._path = path
        self._number = number
        self._raw = raw

    @cached_property
    def text(self) -> str:
        """The line without its end."""
        try:
            return self._raw.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise self.error("UTF-8", self._raw.decode(errors="backslashreplace")) from None

    def error(self, expected: str, found: str | None = None) -> MalformedFileError:
        """The error that names this line, what was expected there and what came."""
        return MalformedFileError(self._path, self._number, expected, self.text if found is None else found)

    def json(self) -> dict[str, Any]:
        """The line as a JSON object."""
        try:
            value = json.loads(self.text)
        except json.JSONDecodeError:
            raise self.error("a JSON object") from None
        if not isinstance(value, dict):
            raise self.error("a JSON object")
        if "\\ud" in self.text.lower():
            self._refuse_surrogates(value)
        return value

    def string(self, value: dict[str, Any], key: str) -> str:
        """``value[key]``, which must be a string."""
        found = value.get(key)
        if not isinstance(found, str):
            raise self.error(f"a string under the key {key!r}")
        return found

    def identifier(self, value: dict[str, Any], key: str) -> str:
        """``value[key]``, which must be a string of at least one character."""
        found = self.string(value, key)
        if not found.strip():
            raise self.error(f"a {key} that is not empty")
        return found

    def _refuse_surrogates(self, value: dict[str, Any]) -> None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise self.error("text without half surrogate pairs") from None


def lines(path: Path) -> Iterator[Line]:
    """The lines of a plain or gzipped UTF-8 file; blank ones are left out, but counted.

    Raises:
        DatasetError: a gzip file that is cut short or damaged.
    """
    with open_binary(path) as stream, gzip_errors(path):
        for number, raw in enumerate(stream, start=1):
            if raw.strip():
                yield Line(path, number, raw)


@contextlib.contextmanager
def gzip_errors(path: Path) -> Iterator[None]:
    """While entered, a gzip file that is cut short or damaged is a DatasetError that names it."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path}: the gzip file is cut short or damaged ({error}); fetch it again") from error


def read_documents(path: Path) -> Iterator[Document | Unusable]:
    """The documents of a ``corpus.jsonl``: ``docno``, ``title`` and ``url`` where given, ``text``."""
    for line in lines(path):
        kind = UNDECODABLE
        try:
            _ = line.text
            kind = NO_DOCUMENT
            document: Document | Unusable = _document(line)
        except MalformedFileError as error:
            document = Unusable(kind=kind, error=error)
        yield document


def _document(line: Line) -> Document:
    value = line.json()
    document = {"docno": line.identifier(value, "docno")}
    document.update((key, line.string(value, key)) for key in ("title", "url") if key in value)
    document["text"] = line.string(value, "text")
    return document


def read_queries(path: Path) -> Iterator[tuple[str, str]]:
    """(qid, text) of each line of a ``queries.tsv``."""
    seen: set[str] = set()
    for line in lines(path):
        columns = line.text.split("\t")
        if len(columns) != 2 or not columns[0].strip():
            raise line.error("2 columns with a tab between them (qid, text)")
        if columns[0] in seen:
            raise line.error("a qid that no line before it has", columns[0])
        seen.add(columns[0])
        yield columns[0], columns[1]


def read_qrels(path: Path) -> Iterator[tuple[str, str, int]]:
    """(qid, docno, label) of each line of a TREC judgement file."""
    for line in lines(path):
        columns = line.text.split()
        if len(columns) != 4:
            raise line.error("4 columns (qid, anything, docno, label)")
        try:
            label = int(columns[3])
        except ValueError:
            raise line.error("an integer label in column 4", columns[3]) from None
        yield columns[0], columns[2], label


def read_answers(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(qid, question, answers) of each line of an ``answers.jsonl``."""
    seen: set[str] = set()
    for line in lines(path):
        value = line.json()
        qid, question, answers = line.identifier(value, "qid"), line.string(value, "question"), value.get("answers")
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise line.error("a list of strings under the key 'answers'")
        if qid in seen:
            raise line.error("a qid that no line before it has", qid)
        seen.add(qid)
        yield qid, question, answers
