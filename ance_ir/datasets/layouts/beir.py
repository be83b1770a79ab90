"""BEIR's folders.

============================  =================================================================
``corpus.jsonl``              ``{"_id", "title"?, "text"}`` a line
``queries.jsonl``             ``{"_id", "text"}`` a line: the queries of all splits
``qrels/SPLIT.tsv``           a header line, then qid, docno and label with tabs between them
============================  =================================================================

Files may be compressed; an archive that was unpacked into a folder of its own name is found, too. The dataset is called ``beir/FOLDER``,
so that BEIR's suite applies, and its rule on queries that are documents.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path

from ance_ir.compression import find_file
from ance_ir.datasets.contents import Contents
from ance_ir.datasets.file_dataset import FileDataset, Parts
from ance_ir.datasets.hashes import hash_of_files
from ance_ir.datasets.layout import Layout
from ance_ir.datasets.layouts._files import file_of_split, of_splits
from ance_ir.datasets.layouts._writing import write_columns, write_json_lines
from ance_ir.datasets.parsing import read_documents, read_json_queries, read_qrels
from ance_ir.datasets.rows import judged_splits
from ance_ir.files import atomic_folder
from ance_ir.reading import lines

_QRELS = r"(?P<split>.+)\.tsv"


class BeirDataset(FileDataset):
    """The dataset in a BEIR folder."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the corpus, the queries and the judgements, in this order, which runs and results that were made before have."""
        return self._hash([*self.parts.corpus, *self.parts.files])

    def _hash(self, files: Iterable[Path]) -> str:
        """Hash of the names and contents, as they were hashed before there were other layouts: nothing here is read in two ways."""
        return hash_of_files(files)


def _open(path: Path, name: str, columns: Mapping[str, str]) -> FileDataset | None:
    folder = path if path.is_file() or find_file(path, "corpus.jsonl") else _inner(path)
    corpus, queries = (find_file(folder, name) for name in ("corpus.jsonl", "queries.jsonl"))
    if columns or corpus is None or queries is None or not _has_beirs_ids(corpus):
        return None
    qrels = of_splits(folder / "qrels", _QRELS)
    read = {split: partial(read_qrels, found, with_header=True) for split, found in qrels.items()}
    parts = Parts(
        corpus=[corpus],
        documents=partial(read_documents, corpus, "_id"),
        queries=judged_splits(partial(read_json_queries, queries), read),
        qrels=read,
        sought=dict.fromkeys(("queries", "qrels"), partial(file_of_split, patterns=[f"qrels/{_QRELS}"])),
        files=[queries, *(qrels[split] for split in sorted(qrels, key=lambda split: (split != "test", split)))],
    )
    return BeirDataset(folder, f"beir/{folder.resolve().name}", parts, layout="beir", holds=LAYOUT.holds)


def _inner(path: Path) -> Path:
    """The only folder in a folder, as archives unpack; else that of the folder's own name."""
    inner = [found for found in path.iterdir() if found.is_dir() and not found.name.startswith((".", "_"))] if path.is_dir() else []
    return inner[0] if len(inner) == 1 else path / path.resolve().name


def _has_beirs_ids(corpus: Path) -> bool:
    """Whether the first document has BEIR's key: a collection directory may hold a ``queries.jsonl`` of its owner's too."""
    with contextlib.closing(lines(corpus)) as found:
        first = next(found, None)
    return first is None or b'"_id"' in first.raw


def _write(contents: Contents, out: Path) -> None:
    """BEIR's folder; a query that is not judged in any split is kept in ``queries.jsonl``, which serves all of them."""
    queries = contents.all_queries()
    with atomic_folder(out, "corpus.jsonl") as folder:
        documents = ({"_id": one["docno"], "title": one.get("title", ""), "text": one["text"]} for one in contents.documents())
        write_json_lines(folder / "corpus.jsonl", documents)
        write_json_lines(folder / "queries.jsonl", ({"_id": row.qid, "text": row.query} for row in queries.itertuples()))
        (folder / "qrels").mkdir()
        for split in contents.splits:
            if (qrels := contents.qrels(split)) is not None:
                header = ("query-id", "corpus-id", "score")
                write_columns(folder / "qrels" / f"{split}.tsv", qrels.itertuples(index=False), header=header)


LAYOUT = Layout(
    order=10,  # before collection directories: their corpus has the same name
    open=_open,
    holds=frozenset({"docno", "title", "corpus", "queries", "qid", "labels", "splits", "lines"}),
    example="corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv",
    marks=("corpus.jsonl",),
    write=_write,
)
