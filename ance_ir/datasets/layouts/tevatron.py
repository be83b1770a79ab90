"""Tevatron's training files, with the texts of passages in them.

One JSON object a line (Parquet and Arrow files are read, too), a file or a folder of ``train.jsonl``, ``dev.jsonl``, …:

=======================  =====================================================================================
``query_id``             a string or whole number
``query``                its text, which may be called ``query_text``
``positive_passages``    ``[{"docid", "title"?, "text", "score"?}, …]``
``negative_passages``    likewise, hard ones first
=======================  =====================================================================================

The folder may hold the corpus, lines of ``{"docid", "title"?, "text"}``, and files of queries without passages. Documents are those of the
corpus and the passages of all records. The scores of a record are a teacher's; they count where each passage of a side has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._tevatron import find_tevatron
from ance_ir.datasets.layouts._writing import alike, records_of_splits, write_json_lines
from ance_ir.datasets.screening import Document


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    found = find_tevatron(path, "tevatron", columns, lambda values: "positive_passages" in values)
    return None if found is None else FileDataset(path, name, found.parts(), layout="tevatron", holds=LAYOUT.holds)


def _write_records(records: Iterable[TrainingRecord], path: Path) -> None:
    write_json_lines(path, map(_of_record, alike(records, path.name)))


def _of_record(record: TrainingRecord) -> dict[str, Any]:
    return {
        "query_id": record.qid,
        "query": record.query,
        "positive_passages": _passages(record.positives, record.positive_scores),
        "negative_passages": _passages(record.negatives, record.negative_scores),
    }


def _passages(documents: Sequence[Document], scores: Sequence[float]) -> list[dict[str, Any]]:
    """All have a title, though it is empty: Tevatron puts it before the text where one passage of the file has it."""
    return [
        {"docid": document["docno"], "title": document.get("title", ""), "text": document["text"]}
        | ({} if score is None else {"score": float(score)})
        for document, score in zip_longest(documents, scores)
    ]


LAYOUT = Layout(
    order=6,  # before collection directories and BEIR's: a corpus has the same name
    open=_open,
    holds=frozenset({"docno", "title", "queries", "qid", "splits", "negatives", "scores", "lines"}),
    example="train.jsonl with query_id, query, positive_passages, negative_passages",
    write=records_of_splits(_write_records),
    write_records=_write_records,
    ending=".jsonl",
)
