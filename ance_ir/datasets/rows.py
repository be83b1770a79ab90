"""Documents, queries and judgements in the rows of tables, by the names that the field gives to their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from ance_ir.datasets.frames import qrels_frame
from ance_ir.datasets.ids import Ids, InvalidIdError, is_plain, text_id
from ance_ir.datasets.judgements import HIGHEST, LABEL, LOWEST, parse_label, settle
from ance_ir.datasets.screening import NO_DOCUMENT, UNDECODABLE, Document, Unusable
from ance_ir.datasets.table import Table, key_of
from ance_ir.errors import DatasetError, MalformedFileError

_DOCNOS = ("docno", "pid", "passage_id", "docid", "doc_id", "document_id", "corpus_id", "corpus-id")
_QIDS = ("qid", "query_id", "query-id", "queryid", "topic_id", "question_id")
DOCNO = (*_DOCNOS, "_id", "id")
QID = (*_QIDS, "_id", "id")
TEXT = ("text", "contents", "content", "passage", "segment", "body", "document")
QUERY = ("query", "text", "question", "topic", "title")
LABELS = ("label", "score", "relevance", "rel")
"""Names of columns, those that count first coming first."""


@dataclass(frozen=True, kw_only=True)
class DocumentColumns:
    """The columns of documents.

    Attributes:
        docno: of the ids; ``None`` makes ids from the texts.
        text: of the texts.
        title: of the titles; rows may be without one.
        url: of the URLs, likewise.
    """

    docno: str | None
    text: str
    title: str = "title"
    url: str = "url"


def document_columns(values: Mapping[str, Any], named: Mapping[str, str] = MappingProxyType({})) -> DocumentColumns | None:
    """The columns of documents in a row; ``None`` if it has no text, or belongs to a query.

    Args:
        values: of the row.
        named: the columns that the user named, theirs by ours.
    """
    ours = {name for name in values if name not in named.values()} | set(named)
    text = next((name for name in TEXT if name in ours), None)
    if text is None or (not named and key_of(values, ("query", *_QIDS))):
        return None
    docno = next((name for name in DOCNO if name in ours), None)
    titles = (name if name in ours else "" for name in ("title", "url"))
    found = [named.get(name, name) for name in (text, *titles)]
    return DocumentColumns(docno=docno and named.get(docno, docno), text=found[0], title=found[1], url=found[2])


def read_documents(tables: Iterable[tuple[Table, DocumentColumns]]) -> Iterator[Document | Unusable]:
    """The documents in the rows of tables: id, text, and ``title`` and ``url`` where there are such columns with a value."""
    for table, columns in tables:
        only = [name for name in (columns.docno, columns.title, columns.url, columns.text) if name]
        ids = Ids(table.path)
        for number, values in table.entries(only):
            try:
                if isinstance(values, MalformedFileError):
                    raise values
                document: Document | Unusable = _document(table, number, values, columns, ids)
            except MalformedFileError as error:
                document = Unusable(kind=UNDECODABLE if error.expected == "UTF-8" else NO_DOCUMENT, error=error)
            yield document
        ids.report()


def _document(table: Table, number: int, values: dict[str, Any], columns: DocumentColumns, ids: Ids) -> Document:
    """The document in a row; written for speed, with as few calls as can be for what is as expected."""
    document = {"docno": ""}
    if columns.docno is not None:
        docno = values.get(columns.docno)
        document["docno"] = docno if is_plain(docno) else _id(table, number, values, columns.docno, "docno", ids)
    if (title := values.get(columns.title)) not in (None, ""):
        document["title"] = title if isinstance(title, str) else table.text_of(number, values, columns.title)
    if (url := values.get(columns.url)) not in (None, ""):
        document["url"] = url if isinstance(url, str) else table.text_of(number, values, columns.url)
    text = values.get(columns.text)
    document["text"] = text if isinstance(text, str) else table.text_of(number, values, columns.text)
    if columns.docno is None:
        document["docno"] = text_id(document.get("title", ""), document["text"])
    return document


def is_query(values: Mapping[str, Any]) -> bool:
    """Whether a row has an id and a text, as queries have (and documents)."""
    return key_of(values, QID) is not None and key_of(values, QUERY) is not None


def read_queries(tables: Iterable[Table]) -> Iterator[tuple[str, str]]:
    """(qid, text) of each row.

    Raises:
        MalformedFileError: a row is no query, or has the qid of an earlier one.
    """
    seen: set[str] = set()
    for table in tables:
        ids = Ids(table.path)
        for number, values in table:
            qid_column, text_column = key_of(values, QID), key_of(values, QUERY)
            if qid_column is None or text_column is None:
                raise table.error(number, values, "a query: a column of ids (qid, _id, …) and one of texts (query, text, …)")
            qid = _id(table, number, values, qid_column, "qid", ids)
            if qid in seen:
                raise table.error(number, values, "a qid that no row before it has")
            seen.add(qid)
            yield qid, table.text_of(number, values, text_column)
        ids.report()


def is_judgement(values: Mapping[str, Any]) -> bool:
    """Whether a row has the ids of a query and of a document, and no texts."""
    of_query, of_document = _judgement_columns(values)
    return of_query is not None and of_document is not None and key_of(values, ("text", "query", "question", "contents")) is None


def _judgement_columns(values: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return key_of(values, _QIDS), key_of(values, _DOCNOS)


def read_qrels(tables: Sequence[Table]) -> pd.DataFrame:
    """The judgements in the rows of tables: frame of ``qid`` (str), ``docno`` (str) and ``label`` (int64), each once. Without a column of
    labels they are 1.

    Raises:
        MalformedFileError: a row is no judgement.
        DatasetError: a document has two labels for a query.
    """
    rows: list[tuple[str, str, int]] = []
    places: list[tuple[Path, int]] = []
    for table in tables:
        ids = Ids(table.path)
        for number, values in table:
            of_query, of_document = _judgement_columns(values)
            if of_query is None or of_document is None:
                raise table.error(number, values, "a judgement: columns of qids (query-id, …), docnos (corpus-id, …) and labels (score, …)")
            qid, docno = _id(table, number, values, of_query, "qid", ids), _id(table, number, values, of_document, "docno", ids)
            rows.append((qid, docno, _label(table, number, values)))
            places.append((table.path, number))
        ids.report()
    source = tables[0].path.parent if len(tables) > 1 else tables[0].path
    return settle(qrels_frame(rows), source, lambda row: "{.name}, row {}".format(*places[row]), error=DatasetError)


def _label(table: Table, number: int, values: dict[str, Any]) -> int:
    name = key_of(values, LABELS)
    if name is None:
        return 1
    value = values[name]
    if isinstance(value, str):
        value = parse_label(value.strip())
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not whole or not LOWEST <= value <= HIGHEST:
        raise table.error(number, values, f"{LABEL} under the key {name!r}")
    return int(value)


def _id(table: Table, number: int, values: dict[str, Any], key: str, kind: str, ids: Ids) -> str:
    try:
        return ids.clean(table.id_of(number, values, key), kind)
    except InvalidIdError as invalid:
        raise table.error(number, values, f"{invalid.expected} under the key {key!r}") from None


def judged(queries: Callable[[], Iterable[tuple[str, str]]], qrels: Callable[[], pd.DataFrame]) -> Iterator[tuple[str, str]]:
    """The queries that the judgements of a split name, of those of all splits, in their order."""
    qids = set(qrels()["qid"])
    return ((qid, text) for qid, text in queries() if qid in qids)


def judged_splits(
    queries: Callable[[], Iterable[tuple[str, str]]], qrels: Mapping[str, Callable[[], pd.DataFrame]]
) -> dict[str, Callable[[], Iterable[tuple[str, str]]]]:
    """Readers of the queries of each split, where one file holds those of all; without judgements they are the split ``test``."""
    return {split: partial(judged, queries, read) for split, read in qrels.items()} or {"test": queries}
