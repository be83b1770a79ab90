"""A collection with systems over it, served in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.indexes import AnceIndex, MaxP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.serve.app import create_app
from ance_ir.serve.server import Server
from ance_ir.serve.systems import open_systems
from tests.tiny import WORDS, cross_encoder, encoder

SYSTEMS = ("bm25", "dense=x.ance", "cascade=bm25 % 20 >> x.ance >> bert", "rrf(bm25, x.ance)")


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 documents, the last of which the indexes lack: collection, x.ance, bert."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "collection").mkdir()
    texts = [" ".join(random.Random(number).choices(WORDS, k=30)) for number in range(60)]
    documents = [{"docno": f"d/{number}", "title": f"the {WORDS[number % 9]}", "text": text} for number, text in enumerate(texts)]
    (folder / "collection" / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    (folder / "collection" / "queries.tsv").write_text("q1\twho sleeps\nq2\tdog runs in the city\n")
    model = encoder(seed=3)
    model.save(folder / "dense")
    cross_encoder().save(folder / "bert")
    dataset = load_dataset(folder / "collection")
    index_corpus(folder / "x.ance", DenseEncoder.from_pretrained(folder / "dense", device="cpu"), dataset.store(), MaxP(12, 4))
    AnceIndex(folder / "x.ance").delete(["d/59"])
    return folder


@pytest.fixture(scope="package")
def dataset(folder: Path) -> Dataset:
    return load_dataset(folder / "collection")


@pytest.fixture(scope="package")
def server(folder: Path, dataset: Dataset) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        texts = [text.replace("bert", "./bert") for text in SYSTEMS]
        server = Server(dataset, open_systems(dataset, texts, device="cpu"))
    yield server
    server.close()


@pytest.fixture(scope="package")
def client(server: Server) -> Iterator[TestClient]:
    with TestClient(create_app(server), raise_server_exceptions=False) as client:
        yield client
