"""Pyserini's own readers and writers against ours."""

from __future__ import annotations

import importlib
from pathlib import Path

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
from tests.neighbours.conftest import Pyserini
from tests.tiny import encoder

pytestmark = pytest.mark.integration

DOCNOS = [f"D{number}#{place}" for number in range(40) for place in range(3)] + ["größe", "日本-1", "#"]
QUERIES = pd.DataFrame({"qid": ["1", "2"], "query": ["what is größe", "日本"], "query_vec": list(np.eye(2, 6, dtype=np.float32) + 0.5)})


def vectors_of(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)


@pytest.fixture
def index(tmp_path: Path) -> AnceIndex:
    rows = ({"docno": docno, "doc_vec": vector} for docno, vector in zip(DOCNOS, vectors_of(len(DOCNOS)), strict=True))
    return AnceIndex(tmp_path / "x").index(rows)


def assert_same(path: Path) -> None:
    found = list(index_rows(AnceIndex(path), passages=False))
    assert [docno for ids, _ in found for docno in ids] == DOCNOS
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in found]), vectors_of(len(DOCNOS)))


def test_its_searcher_reads_ours(tmp_path: Path, pyserini: Pyserini, index: AnceIndex) -> None:
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
def test_its_indexer_reads_ours(tmp_path: Path, pyserini: Pyserini, index: AnceIndex, name: str) -> None:
    export_index(index, tmp_path / "away", name)
    pyserini("index.faiss", "--input", tmp_path / "away", "--output", tmp_path / "faiss", "--dim", 6, "--hnsw", "--M", 8)
    import_index(tmp_path / "y", tmp_path / "faiss")
    assert_same(tmp_path / "y")


@pytest.mark.parametrize("writer", ["JsonlRepresentationWriter", "FaissRepresentationWriter"])
def test_ours_reads_its_writers(tmp_path: Path, pyserini: Pyserini, writer: str) -> None:
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


def test_ours_reads_its_encoded_queries(tmp_path: Path, pyserini: Pyserini, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ``pyserini.encode.query``, with a model of ours: the vectors are those that it has here."""
    model = encoder(pooling="mean")
    model.save(tmp_path / "model")
    monkeypatch.chdir(tmp_path)  # it guesses the class from the whole path
    lines = [f"{qid}\t{text}\n" for qid, text in zip(QUERIES["qid"], QUERIES["query"], strict=True)]
    Path("topics.tsv").write_text("".join(lines), encoding="utf-8")
    pyserini("encode.query", "--topics", "topics.tsv", "--encoder", "model", "--pooling", "mean", "--output", "embedding.pkl")
    found = read_query_vectors(tmp_path)
    assert found[["qid", "query"]].values.tolist() == QUERIES[["qid", "query"]].values.tolist()
    np.testing.assert_allclose(np.stack(found["query_vec"]), model.encode_queries(QUERIES["query"].tolist()), rtol=1e-4, atol=1e-5)
