"""FlagEmbedding's training files.

One JSON object a line (Parquet and Arrow files are read, too), a file, or a folder whose files are all for training unless their names
say ``dev`` or ``test``:

================  ==============================================================
``query``         its text
``pos``           a list of texts that answer it
``neg``           a list of texts that do not, hard ones first
``pos_scores``    a list of a teacher's scores, one for each of ``pos``
``neg_scores``    likewise for ``neg``
``prompt``        the instruction that belongs to the query
================  ==============================================================

The first two are needed, others are ignored. Ids are hashes of the texts, so that records of the same query are one query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._kinds import RECORDS, find_kinds
from ance_ir.datasets.layouts._records import Record, RecordFiles
from ance_ir.datasets.layouts._sample import Sample
from ance_ir.datasets.layouts._writing import alike, one_line, records_of_splits, write_json_lines


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    found = find_kinds(path, "flagembedding", columns, {RECORDS: lambda values: "query" in values and "pos" in values})
    if found is None:
        return None
    files = RecordFiles(splits=found[RECORDS], parse=_parse)
    return FileDataset(path, name, files.parts(), layout="flagembedding", holds=LAYOUT.holds)


def _parse(record: Record) -> Sample:
    positives, negatives = record.texts("pos"), record.texts("neg")
    if not positives:
        raise record.error("one or more texts under the key 'pos'")
    return Sample(
        query=record.text("query"),
        positives=[("", "", text) for text in positives],
        negatives=[("", "", text) for text in negatives],
        positive_scores=record.scores("pos_scores", len(positives)),
        negative_scores=record.scores("neg_scores", len(negatives)),
        prompt=record.optional_text("prompt"),
    )


def _write_records(records: Iterable[TrainingRecord], path: Path) -> None:
    write_json_lines(path, _objects(alike(records, path.name)))


def _objects(records: Iterable[TrainingRecord]) -> Iterable[dict[str, Any]]:
    prompted = None
    for record in records:
        prompted = bool(record.prompt) if prompted is None else prompted
        values: dict[str, Any] = {
            "query": record.query,
            "pos": [one_line(document) for document in record.positives],
            "neg": [one_line(document) for document in record.negatives],
        }
        if record.positive_scores:
            values |= {"pos_scores": [*map(float, record.positive_scores)], "neg_scores": [*map(float, record.negative_scores)]}
        yield values | ({"prompt": record.prompt} if prompted else {})


LAYOUT = Layout(
    order=42,
    open=_open,
    holds=frozenset({"queries", "splits", "negatives", "scores", "prompt", "lines"}),
    example="train.jsonl with query, pos, neg, pos_scores?, neg_scores?, prompt?",
    write=records_of_splits(_write_records),
    write_records=_write_records,
    ending=".jsonl",
)
