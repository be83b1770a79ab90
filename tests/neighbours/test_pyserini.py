"""Pyserini's commands with our indexes and models, and the names of its prebuilt indexes."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ance_ir.errors import IndexingError
from ance_ir.eval.runs import read_run
from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.indexes.formats import export_index, import_index, write_query_vectors
from ance_ir.indexes.formats.prebuilt import located
from ance_ir.models import DenseEncoder
from tests.neighbours.conftest import Pyserini
from tests.published import ance_weights, write_ance
from tests.tiny import WIDTH, encoder

pytestmark = pytest.mark.integration

VERSION = importlib.metadata.version("pyserini")
OF_AUTO: dict[str, tuple[dict[str, Any], list[str]]] = {
    "mean": ({"pooling": "mean"}, ["--pooling", "mean"]),
    "cls, normalised": ({"pooling": "cls", "normalize": True}, ["--pooling", "cls", "--l2-norm"]),
}
"""Our encoders that its class ``auto`` opens: their options, and its own."""


@pytest.fixture
def topics(tmp_path: Path, queries: pd.DataFrame) -> Path:
    """A file of queries."""
    queries.to_csv(tmp_path / "topics.tsv", sep="\t", header=False, index=False)
    return tmp_path / "topics.tsv"


def indexed(path: Path, model: DenseEncoder, documents: list[dict[str, str]]) -> AnceIndex:
    """The collection's index, and beside it, in ``faiss``, the same for Pyserini."""
    index: AnceIndex = (FirstP() >> model.passages() >> AnceIndex(path / "x.ance")).index(iter(documents))
    export_index(index, path / "faiss", "pyserini-faiss")
    return index


def assert_run(path: Path, wanted: pd.DataFrame) -> None:
    """A run of Pyserini's is ours: documents, order, scores."""
    found = read_run(path).sort_values(["qid", "rank"], ignore_index=True)
    wanted = wanted.sort_values(["qid", "rank"], ignore_index=True)
    assert found[["qid", "docno"]].values.tolist() == wanted[["qid", "docno"]].values.tolist()
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", OF_AUTO)
def test_it_searches_our_index_with_our_checkpoint(
    tmp_path: Path, pyserini: Pyserini, documents: list[dict[str, str]], queries: pd.DataFrame, topics: Path, kind: str
) -> None:
    ours, theirs = OF_AUTO[kind]
    model = encoder(**ours)
    model.save(tmp_path / "model")
    index = indexed(tmp_path, model, documents)
    places = ["--index", tmp_path / "faiss", "--topics", topics, "--output", tmp_path / "run.txt"]
    pyserini("search.faiss", *places, "--encoder", tmp_path / "model", "--encoder-class", "auto", *theirs, "--hits", 10)
    assert_run(tmp_path / "run.txt", index.retriever(model, 10)(queries))


@pytest.mark.parametrize("kind", OF_AUTO)
def test_its_encoder_writes_our_vectors(tmp_path: Path, pyserini: Pyserini, documents: list[dict[str, str]], kind: str) -> None:
    ours, theirs = OF_AUTO[kind]
    model = encoder(**ours)
    model.save(tmp_path / "model")
    (tmp_path / "corpus").mkdir()
    lines = [json.dumps({"id": one["docno"], "contents": one["text"]}) for one in documents]
    (tmp_path / "corpus" / "docs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    written = ["input", "--corpus", tmp_path / "corpus", "--fields", "text", "output", "--embeddings", tmp_path / "away"]
    opened = ["encoder", "--encoder", tmp_path / "model", "--encoder-class", "auto", *theirs, "--fields", "text", "--device", "cpu"]
    pyserini("encode", *written, *opened, "--max-length", 32)
    made = import_index(tmp_path / "y.ance", tmp_path / "away", model=model)
    assert made.docnos(np.arange(len(made))).tolist() == [one["docno"] for one in documents]
    vectors = model.encode_passages([one["text"] for one in documents])
    np.testing.assert_allclose(made.vectors.get(np.arange(len(made))), vectors, rtol=1e-4, atol=1e-5)


def test_it_searches_with_vectors_of_any_model_of_ours(
    tmp_path: Path, pyserini: Pyserini, documents: list[dict[str, str]], queries: pd.DataFrame, topics: Path
) -> None:
    """A model with a head and two towers, which it does not open: by the vectors of the queries that we write."""
    model = encoder("roberta", shared=False, head=24)
    index = indexed(tmp_path, model, documents)
    write_query_vectors(model.queries()(queries), tmp_path / "queries")
    places = ["--index", tmp_path / "faiss", "--topics", topics, "--output", tmp_path / "run.txt"]
    pyserini("search.faiss", *places, "--encoded-queries", tmp_path / "queries", "--hits", 10)
    assert_run(tmp_path / "run.txt", index.retriever(model, 10)(queries))


@pytest.mark.xfail(VERSION.startswith("1."), reason="1.6: its class for ANCE opens nothing under transformers 5", raises=AttributeError)
def test_both_open_a_published_ance_checkpoint(
    tmp_path: Path, pyserini: Pyserini, documents: list[dict[str, str]], queries: pd.DataFrame, topics: Path
) -> None:
    """castorini's layout, with the 768 dimensions that its class for ANCE expects."""
    wide = torch.Generator().manual_seed(3)
    head = {"embeddingHead.weight": (768, WIDTH), "embeddingHead.bias": (768,), "norm.weight": (768,), "norm.bias": (768,)}
    weights = ance_weights() | {name: torch.randn(shape, generator=wide) for name, shape in head.items()}
    folder = write_ance(tmp_path / "model", weights, "AnceEncoder")
    model = DenseEncoder.from_pretrained(folder, device="cpu")
    index = indexed(tmp_path, model, documents)
    places = ["--index", tmp_path / "faiss", "--topics", topics, "--output", tmp_path / "run.txt"]
    pyserini("search.faiss", *places, "--encoder", folder, "--encoder-class", "ance", "--hits", 10)
    assert_run(tmp_path / "run.txt", index.retriever(model, 10)(queries))


def test_names_of_prebuilt_indexes(tmp_path: Path, pyserini: Pyserini, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all its names at once, most are found in the very folder that it would use, and none in another."""
    if VERSION.startswith("2."):
        pytest.skip("2.4 has no list of its names: it fetches it")
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    util, names = importlib.import_module("pyserini.util"), importlib.import_module("pyserini.prebuilt_index_info").FAISS_INDEX_INFO
    folders = {}
    for name, told in names.items():
        url = told["urls"][0]
        folder = tmp_path / "indexes" / f"{re.sub(r'[.]tar([.]gz)?$', '', url.split('/')[-1])}.{told['md5']}"
        folder.mkdir(parents=True)
        assert util.download_and_unpack_index(url, md5=told["md5"], prebuilt=True, verbose=False) == str(folder)
        folders[name] = folder
    found = {}
    for name in names:
        try:
            found[name] = located(name)
        except IndexingError:
            continue
    assert {name: folders[name] for name in found} == found
    assert len(found) > 0.75 * len(names)
    assert {"msmarco-v1-passage.ance", "msmarco-v1-doc.ance-maxp", "wikipedia-dpr-100w.ance-multi"} <= set(found)
