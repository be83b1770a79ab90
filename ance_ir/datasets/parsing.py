"""Readers of collection files; errors name the file and line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ance_ir.datasets.frames import qrels_frame
from ance_ir.datasets.ids import FRACTION, Ids, InvalidIdError, as_text, is_plain
from ance_ir.datasets.judgements import LABEL, parse_label, settle
from ance_ir.datasets.recognition import Wanted, hint, is_header
from ance_ir.datasets.screening import NO_DOCUMENT, UNDECODABLE, Document, Unusable
from ance_ir.errors import DatasetError, MalformedFileError
from ance_ir.files import as_path
from ance_ir.reading import Line, lines


def read_documents(path: Path | str, id_key: str = "docno") -> Iterator[Document | Unusable]:
    """The documents of a ``corpus.jsonl``: a docno under ``id_key``, ``title`` and ``url`` where given, ``text``."""
    path = as_path(path)
    ids = Ids(path)
    for line in _lines(path, "documents" if id_key == "docno" else "documents of BEIR"):
        kind = UNDECODABLE
        try:
            _ = line.text
            kind = NO_DOCUMENT
            document: Document | Unusable = _document(line, ids, id_key)
        except MalformedFileError as error:
            document = Unusable(kind=kind, error=error)
        yield document
    ids.report()


_HEADER = frozenset({"body", "contents", "docid", "docno", "id", "passage", "pid", "text", "title", "url"})
"""Names of columns of documents; a first line of these alone is a header."""


def read_columns(path: Path | str, names: Sequence[str], optional: int = 0) -> Iterator[Document | Unusable]:
    """The documents of a file of lines with tabs between columns and no header, as MS MARCO has them.

    Args:
        path: the file.
        names: of the columns: ``("docno", "url", "title", "text")``. An empty title or url is left out.
        optional: how many of the last columns a line may do without.
    """
    path = as_path(path)
    ids = Ids(path)
    for line in lines(path):
        kind = UNDECODABLE
        try:
            columns = line.text.split("\t")
            kind = NO_DOCUMENT
            if line.number == 1 and _HEADER.issuperset(column.strip().lower() for column in columns):
                raise line.error("a document, and no line of names of columns: remove it")
            if not len(names) - optional <= len(columns) <= len(names):
                raise line.error(f"{len(names)} columns with tabs between them ({', '.join(names)})")
            document = dict(zip(names, columns, strict=False))
            document["docno"] = clean_id(line, document["docno"], "docno", ids)
            entry: Document | Unusable = {name: value for name, value in document.items() if value or name == "text"}
        except MalformedFileError as error:
            entry = Unusable(kind=kind, error=error)
        yield entry
    ids.report()


def _document(line: Line, ids: Ids, id_key: str) -> Document:
    """The document in a line; written for speed, with few calls for what is as expected."""
    value = line.json()
    docno = value.get(id_key)
    document = {"docno": docno if is_plain(docno) else _of_key(line, value, id_key, ids)}
    for key in ("title", "url"):
        if (found := value.get(key)) is not None:
            document[key] = found if isinstance(found, str) else line.string(value, key)
    text = value.get("text")
    document["text"] = text if isinstance(text, str) else line.string(value, "text")
    return document


def read_queries(path: Path | str) -> Iterator[tuple[str, str]]:
    """(qid, text) of each line of a ``queries.tsv``."""
    path = as_path(path)
    seen: set[str] = set()
    ids = Ids(path)
    for line in _lines(path, "queries"):
        columns = line.text.split("\t")
        if len(columns) != 2 or is_header(columns):
            raise line.error("2 columns with a tab between them (qid, text)")
        yield _new(line, clean_id(line, columns[0], "qid", ids), seen), columns[1]
    ids.report()


def read_topics(path: Path | str) -> Iterator[tuple[str, str]]:
    """(qid, text) of each line of a file of queries, ``queries.tsv`` or BEIR's ``queries.jsonl`` by what its first line looks like."""
    with contextlib.closing(lines(as_path(path))) as stream:
        first = next(stream, None)
    return read_json_queries(path) if first is not None and first.text.lstrip().startswith("{") else read_queries(path)


def read_json_queries(path: Path | str) -> Iterator[tuple[str, str]]:
    """(qid, text) of each line of BEIR's ``queries.jsonl``: ``{"_id", "text"}``."""
    path = as_path(path)
    seen: set[str] = set()
    ids = Ids(path)
    for line in _lines(path, "queries of BEIR"):
        value = line.json()
        yield _new(line, _of_key(line, value, "_id", ids), seen), line.string(value, "text")
    ids.report()


def read_qrels(path: Path | str, *, with_header: bool = False) -> pd.DataFrame:
    """The judgements of a file: frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64), each once.

    Args:
        path: the file.
        with_header: it has BEIR's three columns with tabs between them (qid, docno, label) and a first line that names them, not TREC's
            four columns.

    Raises:
        MalformedFileError: a line is no judgement.
        DatasetError: a document has two labels for a query.
    """
    path = as_path(path)
    expected = "3 columns with tabs between them (qid, docno, label)" if with_header else "4 columns (qid, anything, docno, label)"
    rows: list[tuple[str, str, int]] = []
    numbers: list[int] = []
    ids = Ids(path)
    for line in _lines(path, "qrels"):
        columns = line.text.split("\t" if with_header else None)
        if with_header and line.number == 1 and is_header(columns):
            continue
        if len(columns) != (3 if with_header else 4):
            raise line.error(expected)
        qid, docno, text = columns[0], *columns[-2:]
        label = parse_label(text.strip())
        if label is None:
            place = f"{LABEL} in column {len(columns)}"
            raise line.error(place, text, "" if with_header else hint(line.text, "qrels") or "Is this the label's column?")
        rows.append((clean_id(line, qid, "qid", ids), clean_id(line, docno, "docno", ids), label))
        numbers.append(line.number)
    ids.report()
    return settle(qrels_frame(rows), path, lambda row: f"line {numbers[row]}", error=DatasetError)


def read_answers(path: Path | str) -> Iterator[tuple[str, str, list[str]]]:
    """(qid, question, answers) of each line of an ``answers.jsonl``."""
    path = as_path(path)
    seen: set[str] = set()
    ids = Ids(path)
    for line in _lines(path, "answers"):
        value = line.json()
        qid = _of_key(line, value, "qid", ids)
        question, answers = line.string(value, "question"), value.get("answers")
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise line.error("a list of strings under the key 'answers'")
        yield _new(line, qid, seen), question, answers
    ids.report()


def _lines(path: Path, wanted: Wanted) -> Iterator[Line]:
    return lines(path, lambda text: hint(text, wanted))


def clean_id(line: Line, value: object, kind: str, ids: Ids) -> str:
    """An id in a line, see ``Ids.clean``.

    Raises:
        MalformedFileError: it is no id.
    """
    try:
        return ids.clean(value, kind)
    except InvalidIdError as invalid:
        raise line.error(invalid.expected, invalid.found) from None


def _of_key(line: Line, value: dict[str, Any], key: str, ids: Ids) -> str:
    """The id under a key, a string or a whole number."""
    found = as_text(value.get(key))
    if not isinstance(found, str):
        raise line.error(f"a string under the key {key!r}", hint=FRACTION if isinstance(found, float) else None)
    return clean_id(line, found, key, ids)


def _new(line: Line, qid: str, seen: set[str]) -> str:
    if qid in seen:
        raise line.error("a qid that no line before it has", qid)
    seen.add(qid)
    return qid
