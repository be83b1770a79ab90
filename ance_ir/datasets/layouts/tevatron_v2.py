"""Tevatron's training files of version 2, with ids of passages, and their corpus.

A folder of JSON lines (Parquet and Arrow files are read, too):

====================  ================================================================================================================
``corpus.jsonl``      ``{"docid", "title"?, "text"}`` a line
``train.jsonl``, …    ``{"query_id", "query_text", "positive_document_ids": […], "negative_document_ids": […]}`` a line, hard ones first
====================  ================================================================================================================

Files are known by their first records, and splits by the names of files; a file of queries without ids of passages is a split, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._tevatron import find_tevatron
from ance_ir.datasets.layouts._writing import write_json_lines
from ance_ir.files import atomic_folder

_CORPUS = "corpus.jsonl"


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    found = find_tevatron(path, "tevatron-v2", columns, lambda values: "positive_document_ids" in values, texts=False)
    return None if found is None else FileDataset(path, name, found.parts(), layout="tevatron-v2", holds=LAYOUT.holds)


def _write(contents: Contents, out: Path) -> None:
    with atomic_folder(out, _CORPUS) as folder:
        documents = ({"docid": one["docno"], "title": one.get("title", ""), "text": one["text"]} for one in contents.documents())
        write_json_lines(folder / _CORPUS, documents)
        for split in contents.splits:
            write_json_lines(folder / f"{split}.jsonl", _records(contents, split))


def _records(contents: Contents, split: str) -> Iterator[dict[str, Any]]:
    queries = contents.queries(split)
    texts = dict(zip(queries["qid"], queries["query"], strict=True))
    for instance in contents.instances(split):
        if instance.qid in texts:
            yield {
                "query_id": instance.qid,
                "query_text": texts[instance.qid],
                "positive_document_ids": instance.positives,
                "negative_document_ids": instance.negatives,
            }


LAYOUT = Layout(
    order=8,  # before collection directories and BEIR's: their corpus has the same name
    open=_open,
    holds=frozenset({"docno", "title", "corpus", "queries", "qid", "splits", "negatives", "lines"}),
    example="corpus.jsonl with docid, title, text; train.jsonl with query_id, query_text, positive_document_ids, negative_document_ids",
    write=_write,
)
