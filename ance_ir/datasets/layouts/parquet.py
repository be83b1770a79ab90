"""A corpus with queries and judgements in Parquet files, as the Hugging Face Hub has them.

===================================  ==========================================================================================
``corpus/*.parquet``                 columns ``_id``, ``title``?, ``text``
``queries/*.parquet``                columns ``_id``, ``text``: the queries of all splits
``qrels/SPLIT*.parquet``             columns ``query-id``, ``corpus-id``, ``score``?
===================================  ==========================================================================================

Arrow files, CSV and TSV files with a header, JSON lines and lists are read likewise, and folders that Hugging Face datasets saved. Columns
may have other usual names (``docno``, ``docid``, ``contents``, ``qid``, ``query``, …): files of documents and judgements are known by
their columns, those of queries by names like ``queries``. SPLIT is the file's name, or its folder's; ``test`` where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset, Parts
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.roles import Roles, find_roles
from ance_ir.datasets.rows import judged_splits, read_documents, read_qrels, read_queries
from ance_ir.errors import DatasetError
from ance_ir.files import atomic_folder
from ance_ir.optional import optional

_BATCH = 4096
_MARKER = "corpus/corpus.parquet"


def parts_of(roles: Roles) -> Parts:
    """The parts of a dataset in tables."""
    qrels = {split: partial(read_qrels, tables) for split, tables in roles.qrels.items()}
    return Parts(
        corpus=roles.corpus,
        documents=partial(read_documents, roles.documents),
        queries=judged_splits(partial(read_queries, roles.queries), qrels) if roles.queries else {},
        qrels=qrels,
        files=roles.files,
    )


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    if not path.is_dir():
        return None
    roles = find_roles(path, columns)
    if not roles.documents or not roles.files:
        return None
    if roles.others:
        other = roles.others[0]
        raise DatasetError(
            f"{path} holds documents ({roles.corpus[0].relative_to(path)}), and in {other.path.relative_to(path)} what is neither "
            f"documents, queries nor judgements (columns: {', '.join(other.first())}): put it into a folder of its own"
        )
    if roles.qrels and not roles.queries:
        raise DatasetError(f"{path} holds documents and judgements, but no file of queries, such as queries.jsonl or queries/*.parquet")
    return FileDataset(path, name, parts_of(roles), layout="parquet", holds=LAYOUT.holds)


def _write(contents: Contents, out: Path) -> None:
    queries = contents.all_queries()
    with atomic_folder(out, _MARKER) as folder:
        documents = ({"_id": one["docno"], "title": one.get("title", ""), "text": one["text"]} for one in contents.documents())
        _write_parquet(folder / _MARKER, documents, {"_id": "string", "title": "string", "text": "string"})
        if not contents.splits:
            return
        rows: Iterable[dict[str, Any]] = ({"_id": row.qid, "text": row.query} for row in queries.itertuples())
        _write_parquet(folder / "queries" / "queries.parquet", rows, {"_id": "string", "text": "string"})
        for split in contents.splits:
            if (qrels := contents.qrels(split)) is not None:
                rows = ({"query-id": row.qid, "corpus-id": row.docno, "score": row.label} for row in qrels.itertuples())
                _write_parquet(folder / "qrels" / f"{split}.parquet", rows, {"query-id": "string", "corpus-id": "string", "score": "int64"})


def _write_parquet(path: Path, rows: Iterable[dict[str, Any]], types: Mapping[str, str]) -> None:
    arrow = optional("pyarrow", needed_for="writing Parquet files", remedy="pip install 'ance_ir[data]'")
    parquet = optional("pyarrow.parquet", needed_for="writing Parquet files", remedy="pip install 'ance_ir[data]'")
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in types.items()])
    path.parent.mkdir(parents=True, exist_ok=True)
    with parquet.ParquetWriter(path, schema) as writer:
        for batch in _batches(rows):
            writer.write_batch(arrow.RecordBatch.from_pylist(batch, schema=schema))


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    stream = iter(rows)
    while batch := [row for _, row in zip(range(_BATCH), stream, strict=False)]:
        yield batch


LAYOUT = Layout(
    order=90,
    open=_open,
    holds=frozenset({"docno", "title", "corpus", "queries", "qid", "labels", "splits", "lines"}),
    example="corpus/*.parquet, queries/*.parquet, qrels/SPLIT*.parquet",
    write=_write,
)
