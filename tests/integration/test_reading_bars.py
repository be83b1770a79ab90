"""A million documents in each layout of collections: at half the speed of plain ``json.loads`` at least, in bounded memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from ance_ir import load_dataset
from tests.processes import CONTEXT

pytestmark = pytest.mark.large

DOCUMENTS, BLOCK, WORDS = 1_000_000, 10_000, 55
MIB = 1024
"""/proc/self/status counts in KiB."""

TEMPLATES = {
    # a file of each layout, and a line of it
    "corpus.jsonl": ('{{"docno": "{0}", "text": "{1}"}}\n', ""),
    "beir/corpus.jsonl": ('{{"_id": "{0}", "title": "", "text": "{1}"}}\n', ""),
    "collection.tsv": ("{0}\t{1}\n", ""),
    "msmarco-docs.tsv": ("{0}\thttp://example.org/{0}\ta title\t{1}\n", ""),
    "msmarco_passage_00": ('{{"pid": "{0}", "passage": "{1}", "spans": "(0,5)", "docid": "d"}}\n', ""),
    "psgs_w100.tsv": ('{0}\t"{1}"\ta title\n', "id\ttext\ttitle\n"),
    "pyserini.jsonl": ('{{"id": "{0}", "contents": "{1}"}}\n', ""),
    "records.jsonl": ('{{"id": "{0}", "body": "{1}"}}\n', ""),
    "records.csv": ('{0},"{1}"\n', "docno,text\n"),
    "records.tsv": ("{0}\t{1}\n", "docno\ttext\n"),
    "list.json": ('{{"docno": "{0}", "text": "{1}"}},\n', "["),
}
TABLES = ("records.parquet", "records.arrow")


def _documents() -> Iterator[tuple[str, str]]:
    generator = np.random.default_rng(0)
    words = np.array([f"w{number:x}" for number in range(50_000)])
    for start in range(0, DOCUMENTS, BLOCK):
        for place, row in enumerate(words[generator.integers(len(words), size=(BLOCK, WORDS))]):
            yield f"d{start + place}", " ".join(row)


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name in TABLES:
        schema = arrow.schema([("docno", arrow.string()), ("text", arrow.string())])
        made = parquet.ParquetWriter(path, schema) if path.suffix == ".parquet" else arrow.ipc.new_stream(path, schema)
        with made as writer:
            stream = _documents()
            while rows := [{"docno": docno, "text": text} for docno, text in islice(stream, BLOCK)]:
                writer.write_batch(arrow.RecordBatch.from_pylist(rows, schema=schema))
        return
    line, header = TEMPLATES["beir/corpus.jsonl" if path.parent.name == "beir" else path.name]
    with path.open("w", encoding="utf-8") as stream:
        stream.write(header)
        stream.writelines(line.format(*document) for document in _documents())
        stream.write("]" if header == "[" else "")
    if path.parent.name == "beir":
        (path.parent / "queries.jsonl").write_text('{"_id": "q", "text": "x"}\n')


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _read(path: Path, plain: Path, found: Any) -> None:
    """The seconds of processor time of both, the documents, and the growth of memory."""
    documents = load_dataset(path).documents()
    _ = next(iter(documents))  # imports
    before = _status("VmRSS")
    start = time.process_time()
    count = sum(1 for _ in documents)
    taken, peak = time.process_time() - start, _status("VmHWM")
    start = time.process_time()
    with plain.open("rb") as stream:
        for line in stream:
            json.loads(line)
    found[:] = [taken, time.process_time() - start, count, (peak - before) / MIB]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "corpus.jsonl"
    _write(path)
    return path


@pytest.mark.parametrize("name", [*TEMPLATES, *TABLES])
def test_a_million_documents_are_read(name: str, plain: Path, tmp_path: Path) -> None:
    _write(tmp_path / name)
    of_folder = name.endswith("corpus.jsonl") or name.startswith("msmarco_")
    found = CONTEXT.Array("d", 4)
    child = CONTEXT.Process(target=_read, args=((tmp_path / name).parent if of_folder else tmp_path / name, plain, found))
    child.start()
    child.join()
    taken, of_plain, count, growth = found
    (tmp_path / name).unlink()
    assert child.exitcode == 0
    assert count == DOCUMENTS
    assert taken < 2 * of_plain, f"{taken:.1f} s, plain json.loads {of_plain:.1f} s"
    assert growth < 300
