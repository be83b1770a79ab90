"""JSON collections of Pyserini and Anserini.

=====================================  ======================================================================================
``*.jsonl``, ``*.json``                objects with ``id`` and ``contents``, ``title``?, ``url``?: one a line, or lists of them
``topics.SPLIT.tsv``, ``.txt``         qid, tab, text
``qrels.SPLIT.txt``                    TREC's four columns
=====================================  ======================================================================================

The path is a file, or a folder with files of documents, and perhaps queries and judgements in it. SPLIT is all between the dots:
``topics.msmarco-passage.dev-subset.txt`` is the split ``msmarco-passage.dev-subset``. What is written has its documents in ``collection/``,
for Pyserini's ``--input``; a title or URL is a field of its own there, for ``--fields title``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ance_ir.compression import plain_name
from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset, Parts
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._files import file_of_split, of_splits
from ance_ir.datasets.layouts._writing import write_columns, write_json_lines
from ance_ir.datasets.parsing import read_qrels, read_queries
from ance_ir.datasets.rows import DocumentColumns, read_documents
from ance_ir.datasets.tables import find_tables, is_table, open_table
from ance_ir.files import atomic_folder

_PATTERNS = {"queries": r"topics\.(?P<split>.+)\.(?:tsv|txt)", "qrels": r"qrels\.(?P<split>.+)\.(?:txt|tsv)"}
_COLUMNS = DocumentColumns(docno="id", text="contents")


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    topics, qrels = (of_splits(path, pattern) for pattern in _PATTERNS.values())
    files = find_tables(path) if path.is_dir() else [path] if is_table(path) else []
    tables = [open_table(file) for file in files if file not in {*topics.values(), *qrels.values()}]
    if columns or not tables or not all(_is_json(table.path) for table in tables) or not {"id", "contents"} <= set(tables[0].first()):
        return None
    parts = Parts(
        corpus=[table.path for table in tables],
        documents=partial(read_documents, [(table, _COLUMNS) for table in tables]),
        queries={split: partial(read_queries, file) for split, file in topics.items()},
        qrels={split: partial(read_qrels, file) for split, file in qrels.items()},
        files=[*topics.values(), *qrels.values()],
        sought={kind: partial(file_of_split, patterns=[pattern]) for kind, pattern in _PATTERNS.items()},
    )
    return FileDataset(path, name, parts, layout="pyserini", holds=LAYOUT.holds)


def _is_json(path: Path) -> bool:
    return Path(plain_name(path.name)).suffix in (".json", ".jsonl")


def _write(contents: Contents, out: Path) -> None:
    with atomic_folder(out, "collection/documents.jsonl") as folder:
        (folder / "collection").mkdir()
        fields = {"docno": "id", "title": "title", "url": "url", "text": "contents"}
        documents = ({fields[name]: value for name, value in one.items()} for one in contents.documents())
        write_json_lines(folder / "collection" / "documents.jsonl", documents)
        for split in contents.splits:
            write_columns(folder / f"topics.{split}.tsv", contents.queries(split).itertuples(index=False))
            if (qrels := contents.qrels(split)) is not None:
                judged = ((row.qid, 0, row.docno, row.label) for row in qrels.itertuples())
                write_columns(folder / f"qrels.{split}.txt", judged, delimiter=" ")


LAYOUT = Layout(
    order=80,
    open=_open,
    holds=frozenset({"docno", "title", "url", "corpus", "queries", "qid", "labels", "unjudged", "splits", "lines"}),
    example="*.jsonl of {id, contents}, topics.SPLIT.tsv, qrels.SPLIT.txt",
    write=_write,
)
