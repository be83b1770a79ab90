"""Readers of collections, questions, runs and results."""

from __future__ import annotations

import contextlib
import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from ance_ir.datasets import DirectoryDataset, load_dataset
from ance_ir.datasets.archives import is_archive, unpack
from ance_ir.datasets.sources.questions import read_questions
from ance_ir.datasets.tables import open_table
from ance_ir.errors import DatasetError, DatasetNotFoundError
from ance_ir.eval.runs import read_run
from ance_ir.eval.runs.kept import KeptRuns
from tests.compressed import tarred, zipped
from tests.fuzz.reader import Reader

TEXTS: dict[str, str] = {
    "corpus.jsonl": '{"docno": "d1", "title": "t", "text": "a text"}\n{"docno": "d2", "url": "u", "text": "größe 日本"}\n',
    "queries.tsv": "q1\tdense retrieval\nq2\tcat tree\n",
    "qrels.txt": "q1 0 d1 2\nq1 0 d2 0\nq2 0 d2 1\n",
    "answers.jsonl": '{"qid": "q1", "question": "who", "answers": ["a", "b"]}\n{"qid": "q2", "question": "what", "answers": []}\n',
    "run.bm25.txt": "q1 Q0 d1 1 2.5 bm25\nq1 Q0 d2 2 1.5 bm25\nq2 Q0 d2 1 0.5 bm25\n",
}

BEIR: dict[str, str] = {
    "corpus.jsonl": '{"_id": "d1", "title": "t", "text": "a text", "metadata": {}}\n{"_id": "d2", "title": "", "text": "größe 日本"}\n',
    "queries.jsonl": '{"_id": "q1", "text": "dense retrieval", "metadata": {}}\n{"_id": "q2", "text": "cat tree"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n",
}

LAYOUTS: dict[str, dict[str, str]] = {
    "passages of MS MARCO": {
        "collection.tsv": "d1\ta text\nd2\tgröße 日本\n",
        "queries.test.tsv": TEXTS["queries.tsv"],
        "qrels.test.tsv": TEXTS["qrels.txt"],
    },
    "documents of MS MARCO": {"msmarco-docs.tsv": "d1\tu\tt\ta text\nd2\t\t\tgröße 日本\n"},
    "passages of version 2": {"msmarco_passage_00": '{"pid": "d1", "passage": "a text"}\n{"pid": "d2", "passage": "größe 日本"}\n'},
    "passages of DPR": {
        "psgs_w100.tsv": 'id\ttext\ttitle\nd1\t"a ""text"""\tt\nd2\tgröße 日本\t\n',
        "nq-test.qa.csv": "who\t['a', \"b\"]\n",
    },
    "collection of Pyserini": {"a.jsonl": '{"id": "d1", "contents": "a text"}\n{"id": 2, "contents": "größe 日本"}\n'},
    "tables": {
        "docs.csv": 'docno,title,text\nd1,t,"a ""text"""\nd2,,größe 日本\n',
        "queries.json": '[{"qid": "q1", "text": "dense"},\n {"qid": "q2", "text": "cat tree"}]',
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\n",
    },
    "Tevatron's records": {
        "train.jsonl": '{"query_id": "q1", "query": "dense", "positive_passages": [{"docid": "d1", "title": "t", "text": "größe"}], '
        '"negative_passages": [{"docid": 2, "text": "x", "score": 1.5}]}\n',
    },
    "Tevatron's ids": {
        "corpus.jsonl": '{"docid": "d1", "title": "t", "text": "a text"}\n{"docid": "d2", "text": "größe 日本"}\n',
        "train.jsonl": '{"query_id": "q1", "query_text": "dense", "positive_document_ids": ["d1"], "negative_document_ids": ["d2"]}\n',
        "test.jsonl": '{"query_id": "q2", "query": "cat tree"}\n',
    },
    "FlagEmbedding's records": {
        "x.jsonl": '{"query": "dense", "pos": ["größe"], "neg": ["x", "y"], "pos_scores": [2], "neg_scores": [1, 0.5], "prompt": "p"}\n',
    },
    "rows of sentence-transformers": {
        "x.csv": 'anchor,positive,negative_1,negative_2,scores\ndense,"größe, 日本",x,y,"[2, 1, 0.5]"\ndense,z,x,y,"[3, 1, 0.5]"\n',
    },
    "labelled pairs": {"x.jsonl": '{"query": "a", "answer": "größe", "label": 1}\n{"query": "a", "answer": "x", "label": 0}\n'},
    "DPR's records": {
        "x.json": '[{"question": "who", "answers": ["a"], "positive_ctxs": [{"title": "t", "text": "größe", "passage_id": "d1"}],\n'
        '"hard_negative_ctxs": [{"title": "", "text": "x", "psg_id": 2, "score": 1}], "negative_ctxs": []}]',
    },
    "ColBERT's triples": {
        "collection.tsv": "0\ta text\tt\n1\tgröße 日本\n",
        "queries.train.tsv": "5\tdense\n6\tcat tree\n",
        "triples.train.jsonl": "[5, 0, 1]\n[6, [1, 2.5], [0, -1]]\n",
    },
    "triples of MS MARCO": {"triples.train.small.tsv": "a b\tgröße\tx\na b\tgröße\ty\n"},
    "folder of texts": {"a/b c.md": "# a\ntext\n", "d2.txt": "größe 日本\n"},
}
"""Folders in layouts other than ours and BEIR's."""

QUESTIONS: dict[str, str] = {
    "lines": "who is it?\t['a', \"b\"]\nwhat\t[]\n",
    "objects": '{"question": "who", "answer": ["a"]}\n{"question": "what", "answers": []}\n',
    "list": '[{"question": "who", "answers": ["a"]}, {"question": "what", "answers": []}]',
}

RECORDS: dict[str, str] = {
    ".jsonl": '{"id": "1", "text": "größe", "pos": ["a"]}\n{"id": "2", "text": "x", "pos": [{"a": "b"}]}\n',
    ".json": '[{"id": "1", "text": "größe"},\n {"id": "2", "text": ["x", {"a": "\\ud83d\\ude00"}]}]',
    ".tsv": 'id\ttext\n1\t"a ""text"", größe"\n2\tx\n',
    ".csv": 'id,text\n1,"a ""text"",\nof größe"\n2,x\n',
}

RUNS: dict[str, str] = {
    "trec": TEXTS["run.bm25.txt"],
    "msmarco": "q1\td1\t1\nq1\td2\t2\nq2\td2\t1\n",
    "dpr": json.dumps(
        [{"qid": "1", "question": "who", "answers": ["a"], "ctxs": [{"id": "d1", "title": "t", "text": "x", "score": "1.5"}]}]
    ),
    "pyserini": json.dumps({"1": {"question": "who", "answers": ["a"], "contexts": [{"docid": "d1", "score": 1.5, "text": "x"}]}}),
}


def _written(texts: dict[str, str]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name, text in texts.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")

    return make


def _read_collection(folder: Path) -> Any:
    dataset = DirectoryDataset(folder)
    documents = list(dataset.documents())
    return documents, dataset.queries(), dataset.qrels(), dataset.answers(), dataset.fingerprint


def _read_beir(folder: Path) -> Any:
    dataset = load_dataset(folder)
    return list(dataset.documents()), dataset.queries(), dataset.qrels(), dataset.fingerprint


def _read_layout(folder: Path) -> Any:
    dataset = load_dataset(folder)
    found: list[Any] = [list(dataset.documents()), dataset.fingerprint]
    for split in dataset.splits:
        for read in (dataset.queries, dataset.qrels, dataset.answers):
            with contextlib.suppress(DatasetNotFoundError):
                found.append(read(split))
        with contextlib.suppress(DatasetNotFoundError):
            found.append(list(dataset.instances(split)))
    return found


def _parquet(folder: Path) -> None:
    table = pyarrow.table({"docno": ["d1", "d2"], "text": ["a text", "größe 日本"]})
    pyarrow.parquet.write_table(table, folder / "x.parquet")


def _arrow(folder: Path) -> None:
    table = pyarrow.table({"docno": ["d1", "d2"], "text": ["a text", "größe 日本"]})
    with pyarrow.OSFile(str(folder / "x.arrow"), "wb") as stream, pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)


def _archive(kind: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        files = {f"beir/{name}": text.encode() for name, text in BEIR.items()}
        (folder / "x").write_bytes(zipped(files) if kind == "zip" else gzip.compress(tarred(files), mtime=0))

    return make


def _read_archive(folder: Path) -> Any:
    """In a cache of its own: what is unpacked is known by the time of its change, which is coarser than these tests are fast."""
    with tempfile.TemporaryDirectory(dir=folder) as target:
        if not is_archive(folder / "x"):
            raise DatasetError("no archive")
        found = unpack(folder / "x", Path(target) / "x")
        assert found.resolve().is_relative_to(Path(target).resolve())
        assert {path.name for path in folder.iterdir()} == {"x", Path(target).name}
        return _read_beir(found)


def _kept(folder: Path) -> None:
    run = pd.DataFrame({"qid": ["q1", "q1"], "docno": ["d1", "d2"], "score": [2.0, 1.0]})
    KeptRuns(folder).put("bm25", "key", run, 1.5)


READERS = [
    Reader(name="collection", make=_written(TEXTS), files=dict.fromkeys(list(TEXTS)[:4], "lines"), read=_read_collection),
    *(Reader(name=name, make=_written(files), files=dict.fromkeys(files, "lines"), read=_read_layout) for name, files in LAYOUTS.items()),
    # damaged ones may end the process
    Reader(name="Parquet", make=_parquet, files={"x.parquet": "bytes"}, read=_read_layout, apart=True),
    Reader(name="Arrow", make=_arrow, files={"x.arrow": "bytes"}, read=_read_layout, apart=True),
    *(Reader(name=f"{kind} archive", make=_archive(kind), files={"x": "bytes"}, read=_read_archive) for kind in ("zip", "tar")),
    *(
        Reader(
            name=f"records as {name}",
            make=_written({f"x{name}": text}),
            files={f"x{name}": "lines"},
            read=lambda folder, name=name: list(open_table(folder / f"x{name}")),  # type: ignore[misc]
        )
        for name, text in RECORDS.items()
    ),
    Reader(name="folder of BEIR", make=_written(BEIR), files=dict.fromkeys(BEIR, "lines"), read=_read_beir),
    *(
        Reader(
            name=f"questions as {name}",
            make=_written({"x": text}),
            files={"x": "lines"},
            read=lambda folder: list(read_questions(folder / "x")),
        )
        for name, text in QUESTIONS.items()
    ),
    *(
        Reader(name=f"run of {name}", make=_written({"x": text}), files={"x": "lines"}, read=lambda folder: read_run(folder / "x"))
        for name, text in RUNS.items()
    ),
    Reader(
        name="kept run",
        make=_kept,
        files={"bm25.txt.gz": "bytes", "bm25.json": "json"},
        read=lambda folder: KeptRuns(folder).get("bm25", "key"),
    ),
]
