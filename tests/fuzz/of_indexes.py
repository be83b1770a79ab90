"""Readers of indexes, stores, training runs and others' vectors."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ance_ir.arrays import save_array
from ance_ir.datasets import DocnoMap, DocumentStore
from ance_ir.files import write_json
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.formats import embedding_pkl, files
from ance_ir.indexes.store.tie_order import tie_order
from ance_ir.pipelines import BM25Index
from ance_ir.training import read_metrics
from ance_ir.training.refresh.mined import MinedNegatives
from ance_ir.training.refresh.switches import Switches
from ance_ir.training.run.folder import TrainingRun
from tests.fuzz.reader import Reader

VECTORS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
DOCNOS = [f"d{number}" for number in range(12)]
EVERY = {"docno": "d1", "title": "a title", "url": "https://a.b", "text": "a text of some words"}


def _rows() -> Any:
    return ({"docno": docno, "doc_vec": vector} for docno, vector in zip(DOCNOS, VECTORS, strict=True))


def _index(folder: Path) -> None:
    index = AnceIndex(folder / "x").index(_rows())
    index.delete(["d3", "d4"])
    index.searcher("ivf2")
    (folder / "x" / "search.json").write_text('{"backend": "ivf2,nprobe=2"}', encoding="utf-8")


def _search(folder: Path, backend: str = "exact") -> Any:
    index = AnceIndex(folder / "x")
    searcher = index.searcher(backend)
    _, numbers = index.search_vectors(VECTORS[:2], 5, searcher)
    return index.docnos(numbers[numbers >= 0]), index.numbers(["d1", "nothing"]), index.fingerprint


def _passage_index(folder: Path) -> None:
    """As a corpus of documents with one to three passages makes it."""
    from ance_ir.models import Encoding, TextSettings

    encoding = Encoding(model="m", fingerprint="f", text=TextSettings(), similarity="dot", passages="maxp:32,3", precision="float32")
    ids = [f"d{place // 3}#{place % 3}" for place in range(12)]
    AnceIndex(folder / "x").index({"docno": one, "doc_vec": vector, "encoding": encoding} for one, vector in zip(ids, VECTORS, strict=True))


def _format(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        files.write_vectors(folder / "x", [(np.array(DOCNOS, dtype=object), VECTORS)], name)

    return make


def _read_format(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        for ids, vectors in files.read_vectors(folder / "x", name, rows=5):
            assert len(ids) == len(vectors)
            assert vectors.dtype == np.float32
            assert np.isfinite(vectors).all()

    return read


def _pickled(folder: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"qid": ["1", "2"], "query": ["a b", "c"], "query_vec": list(VECTORS[:2])})
    embedding_pkl.write_query_vectors(frame, folder)


def _pickled_as(protocol: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import pandas as pd

        frame = pd.DataFrame({"id": [1, 2], "text": ["a b", "c"], "embedding": [VECTORS[0].astype(float), VECTORS[1].tolist()]})
        frame.to_pickle(folder / "embedding.pkl", protocol=protocol)

    return make


def _store(folder: Path) -> None:
    DocumentStore.build([{**EVERY, "docno": docno} for docno in DOCNOS], folder / "x")


def _read_store(folder: Path) -> Any:
    if not DocumentStore.is_complete(folder / "x"):
        return None
    store = DocumentStore(folder / "x")
    return list(store), list(store.docno_map), store.numbers(["d1", "z"]), store.fingerprint, store.left_out_text(), store.text_hashes[:1]


def _bm25(folder: Path) -> None:
    """What of an index for BM25 this package reads itself."""
    (folder / "docnos").mkdir()
    save_array(folder / "tie_order.npy", tie_order(DocnoMap.write(DOCNOS, folder / "docnos")))
    manifest = {"format": 2, "engine": "pisa", "documents": len(DOCNOS), "content": "x", "stemmer": "porter2"}
    write_json(folder / "manifest.json", manifest)


def _read_bm25(folder: Path) -> Any:
    index = BM25Index(folder)
    return len(index), index.fingerprint, index.docnos.docnos([0, 1]), index.tie_order[:3].sum()


def _mined(folder: Path) -> None:
    MinedNegatives(
        candidates_QK=np.zeros((3, 2), np.int32),
        scores_QK=np.zeros((3, 2), np.float32),
        top_SN=np.zeros((2, 2), np.int32),
        sample_S=np.arange(2),
        report={"mined_at": 5},
    ).publish(folder)


def _read_mined(folder: Path) -> Any:
    mined = MinedNegatives.read(folder)
    return mined.mined_at, mined.candidates_QK.sum(), mined.scores_QK.sum()


_MANIFEST = '{"settings": {"steps": 10, "batch_size": 2}, "environment": {"torch": "2"}, "refresh": {"every": 5}}'
_METRICS = '{"step": 0, "loss": 1.5}\n{"step": 1, "loss": NaN, "dev": {"step": 1, "MRR": 0.5}, "refresh": {"mined_at": 1}}\n'


def _run(folder: Path) -> None:
    (folder / "run.json").write_text(_MANIFEST, encoding="utf-8")
    (folder / "metrics.jsonl").write_text(_METRICS, encoding="utf-8")
    (folder / "switches.json").write_text('{"reached": 5, "mined_at": {"3": 1}}', encoding="utf-8")
    (folder / "progress.json").write_text('{"state": "training", "step": 3, "at": 1.5}', encoding="utf-8")
    (folder / "negatives").mkdir()
    (folder / "negatives" / "task.json").write_text('{"step": 3}', encoding="utf-8")


def _read_run(folder: Path) -> Any:
    from ance_ir.training.run.metrics import Best
    from ance_ir.workflows.runs.logged import read_training_runs

    run = TrainingRun(folder)
    Best(read_metrics(folder / "metrics.jsonl"))
    _ = run.manifest, run.task, run.progress(), Switches(folder / "switches.json").before(5)
    (logged,) = read_training_runs([folder])
    return logged.steps, logged.done, logged.refreshes, logged.dev, logged.values("loss")


READERS = [
    Reader(
        name="index",
        make=_index,
        files={
            "x/manifest.json": "json",
            "x/vectors-00000.npy": "array",
            "x/tie_order.npy": "array",
            "x/deleted-00001.npy": "array",
            "x/docnos/docnos.bin": "bytes",
            "x/docnos/docno_offsets.npy": "array",
            "x/docnos/docno_hashes.npy": "array",
            "x/docnos/docno_order.npy": "array",
        },
        read=_search,
    ),
    Reader(name="index of passages", make=_passage_index, files={"x/manifest.json": "json", "x/offsets.npy": "array"}, read=_search),
    Reader(
        name="Faiss in an index",
        make=_index,
        files={"x/search.json": "json", "x/faiss-00000/ivf2.json": "json", "x/faiss-00000/ivf2.index": "bytes"},
        read=lambda folder: _search(folder, "tuned"),
        apart=True,
    ),
    Reader(
        name="store",
        make=_store,
        files={
            "x/manifest.json": "json",
            "x/documents.jsonl": "lines",
            "x/offsets.npy": "array",
            "x/text_hashes.npy": "array",
            "x/docnos.bin": "bytes",
            "x/docno_offsets.npy": "array",
        },
        read=_read_store,
    ),
    Reader(name="npy", make=_format("npy"), files={"x/vectors.npy": "array", "x/ids.txt": "lines"}, read=_read_format("npy")),
    Reader(
        name="embeddings", make=_format("embeddings-jsonl"), files={"x/embeddings.jsonl": "lines"}, read=_read_format("embeddings-jsonl")
    ),
    Reader(
        name="flex",
        make=_format("flex"),
        files={"x/pt_meta.json": "json", "x/vecs.f4": "bytes", "x/docnos.npids": "bytes"},
        read=_read_format("flex"),
    ),
    Reader(
        name="faiss",
        make=_format("pyserini-faiss"),
        files={"x/index": "bytes", "x/docid": "lines"},
        read=_read_format("pyserini-faiss"),
        apart=True,
    ),
    Reader(name="embedding.pkl", make=_pickled, files={"embedding.pkl": "bytes"}, read=embedding_pkl.read_query_vectors),
    *(
        Reader(
            name=f"pickle {protocol}", make=_pickled_as(protocol), files={"embedding.pkl": "bytes"}, read=embedding_pkl.read_query_vectors
        )
        for protocol in (4, 5)
    ),
    *(
        [Reader(name="BM25", make=_bm25, files={"manifest.json": "json", "tie_order.npy": "array"}, read=_read_bm25)]
        if find_spec("pyterrier_pisa")
        else []
    ),
    Reader(
        name="mined negatives",
        make=_mined,
        files={"report.json": "json", "candidates.npy": "array", "scores.npy": "array", "top.npy": "array", "sample.npy": "array"},
        read=_read_mined,
    ),
    Reader(
        name="training run",
        make=_run,
        files={
            "run.json": "json",
            "metrics.jsonl": "lines",
            "switches.json": "json",
            "progress.json": "json",
            "negatives/task.json": "json",
        },
        read=_read_run,
    ),
]
