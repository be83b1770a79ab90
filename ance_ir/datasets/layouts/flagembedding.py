"""FlagEmbedding's training files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._writing import alike, one_line, records_of_splits, write_json_lines


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    return None


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
    holds=frozenset({"queries", "splits", "negatives", "scores", "prompt"}),
    example="train.jsonl with query, pos, neg, pos_scores?, neg_scores?, prompt?",
    write=records_of_splits(_write_records),
    write_records=_write_records,
)
