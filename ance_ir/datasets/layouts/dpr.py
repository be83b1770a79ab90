"""DPR's training files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._biencoder import write_biencoder, write_biencoders


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    return None


LAYOUT = Layout(
    order=28,
    open=_open,
    holds=frozenset({"docno", "title", "queries", "splits", "answers", "negatives", "scores"}),
    example="biencoder-NAME-SPLIT.json",
    write=write_biencoders,
    write_records=write_biencoder,
)
