"""Reading of Tevatron's files, those with texts and those with ids alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ance_ir.datasets.layouts._kinds import RECORDS, find_kinds
from ance_ir.datasets.layouts._records import Record, RecordFiles
from ance_ir.datasets.layouts._sample import Sample
from ance_ir.datasets.rows import DocumentColumns
from ance_ir.errors import DatasetError

_DOCNO = ("docid", "doc_id", "pid", "_id", "id")
_QUERIES = "queries"
_CORPUS = "corpus"


def find_tevatron(
    path: Path, layout: str, columns: Mapping[str, str], is_record: Callable[[Mapping[str, Any]], bool], *, texts: bool = True
) -> RecordFiles | None:
    """The training files at a path, with the corpus and further queries that lie there; ``None`` if there are no training files.

    Args:
        path: a file or folder.
        layout: its name, for messages.
        columns: other names of columns, see ``Table``.
        is_record: tells from the values of a first record whether a file is for training.
        texts: records have the texts of passages.

    Raises:
        DatasetError: a folder holds something else too, or texts are missing.
    """
    kinds = {RECORDS: is_record, _CORPUS: _is_document, _QUERIES: _is_query}
    found = find_kinds(path, layout, columns, kinds)
    if found is None:
        return None
    columns_of_corpus = DocumentColumns(docno="docid", text="text", url="")
    corpus = [(table, columns_of_corpus) for tables in found.get(_CORPUS, {}).values() for table in tables]
    if not (texts or corpus):
        raise DatasetError(f"{path} names documents by ids: give the folder that also has their texts, lines of docid, title and text")
    splits = {split: [*tables] for split, tables in found[RECORDS].items()}
    for split, tables in found.get(_QUERIES, {}).items():
        splits.setdefault(split, []).extend(tables)
    parse = _with_texts if texts else _with_ids
    return RecordFiles(splits=splits, parse=parse, corpus=corpus, texts=texts, judged=list(found[RECORDS]))


def _is_document(values: Mapping[str, Any]) -> bool:
    return "text" in values and "docid" in values


def _is_query(values: Mapping[str, Any]) -> bool:
    return "query_id" in values and ("query" in values or "query_text" in values)


def _with_texts(record: Record) -> Sample:
    keys = ("positive_passages", "negative_passages")
    positives, negatives = (record.passages(key, _DOCNO) for key in keys)
    positive_scores, negative_scores = map(record.scores_in, keys)
    sample = Sample(_text(record), positives, negatives, record.qid("query_id"), positive_scores, negative_scores)
    return _checked(record, sample, keys[0])


def _with_ids(record: Record) -> Sample:
    keys = ("positive_document_ids", "negative_document_ids")
    positives, negatives = ([(docno, "", "") for docno in record.ids(key)] for key in keys)
    return _checked(record, Sample(_text(record), positives, negatives, record.qid("query_id")), keys[0])


def _text(record: Record) -> str:
    return record.text("query_text" if "query_text" in record.values else "query")


def _checked(record: Record, sample: Sample, key: str) -> Sample:
    if not sample.positives and key in record.values:
        raise record.error(f"one or more passages under the key {key!r}")
    return sample
