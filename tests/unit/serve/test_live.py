"""Indexes that change while they are served."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ance_ir.datasets import Dataset
from ance_ir.indexes import AnceIndex, FirstP, add_documents, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import BM25Index
from ance_ir.serve import live as module
from ance_ir.serve.app import create_app
from ance_ir.serve.live import Live
from ance_ir.serve.server import Server
from ance_ir.serve.systems import open_systems
from tests.tiny import encoder


@pytest.fixture
def index(folder: Path, tmp_path: Path) -> AnceIndex:
    return AnceIndex(shutil.copytree(folder / "x.ance", tmp_path / "live.ance"))


@pytest.fixture
def served(index: AnceIndex, dataset: Dataset) -> Iterator[Server]:
    server = Server(
        dataset,
        open_systems(
            dataset,
            [
                f"dense={index.folder}",
                f"prf={index.folder}[prf=average:2]",
                f"ladr={index.folder} % 9 >> {index.folder}[adaptive=ladr; graph=3]",
            ],
            device="cpu",
        ),
    )
    yield server
    server.close()


def docnos(client: TestClient, system: str) -> set[str]:
    return {one["docno"] for one in client.get(f"/v1/{system}/search", params={"q": "king", "k": 100}).json()["results"]}


def test_what_is_deleted_added_and_compacted_is_seen(served: Server, index: AnceIndex, dataset: Dataset) -> None:
    live = Live(served)
    with TestClient(create_app(served)) as client:
        assert len(docnos(client, "dense")) == 59
        index.delete(["d/3", "d/4"])
        assert "d/3" in docnos(client, "dense"), "until someone looks, the state that was opened is served"
        live.look()
        assert len(list(index.folder.glob("graph-*/pt_meta.json"))) == 1, "the graph is there before a query needs it"
        assert not {"d/3", "d/4"} & (docnos(client, "dense") | docnos(client, "prf") | docnos(client, "ladr"))
        assert len(docnos(client, "ladr")) > 9
        assert client.get("/v1/dense/documents/d/3").status_code == 404
        index.compact()
        live.look()
        assert len(docnos(client, "dense")) == len(docnos(client, "prf")) == 57
        add_documents(index, index.model(device="cpu"), dataset.store().get(["d/3", "d/59"]))
        live.look()
        assert {"d/3", "d/59"} <= docnos(client, "dense")
        assert client.post("/v1/dense/similar", json={"docno": "d/59", "k": 1}).json()["results"]


def test_a_document_that_the_collection_lacks_is_found_and_is_like_others_but_has_no_text(served: Server, index: AnceIndex) -> None:
    add_documents(index, index.model(device="cpu"), [{"docno": "new/1", "text": "the king of the river sleeps"}])
    Live(served).look()
    with TestClient(create_app(served)) as client:
        assert "new/1" in docnos(client, "dense")
        assert client.post("/v1/dense/similar", json={"docno": "new/1", "k": 3}).json()["results"]
        assert client.post("/v1/dense/feedback", json={"query": "king", "docnos": ["new/1"]}).status_code == 200
        answer = client.get("/v1/dense/documents/new%2F1")
        assert answer.status_code == 404 and "no text of it" in answer.json()["error"]


def test_a_bm25_index_that_is_built_again_is_seen_and_a_damaged_one_is_not(dataset: Dataset, tmp_path: Path) -> None:
    index = BM25Index(tmp_path / "x.bm25", overwrite=True)
    index.index(dataset.store())
    server = Server(dataset, open_systems(dataset, [f"words={index.path}"], device="cpu"))
    live = Live(server)
    with TestClient(create_app(server)) as client:
        found = docnos(client, "words")
        index.index(document for document in dataset.store() if document["docno"] not in {"d/3", *sorted(found)[:2]})
        live.look()
        assert docnos(client, "words") == (now := found - {"d/3", *sorted(found)[:2]})
        index.index(dataset.store())
        (index.path / "tie_order.npy").write_bytes(b"")
        live.look()
        assert docnos(client, "words") == now
    server.close()


def test_an_index_that_is_gone_or_damaged_is_served_as_it_was(served: Server, index: AnceIndex) -> None:
    live = Live(served)
    with TestClient(create_app(served)) as client:
        before = docnos(client, "dense")
        os.rename(index.folder, index.folder.with_name("elsewhere"))
        live.look()
        assert docnos(client, "dense") == before
        index.folder.mkdir()
        (index.folder / "manifest.json").write_text("{}")
        live.look()
        assert docnos(client, "dense") == before


def test_what_fails_for_a_reason_of_the_machine_is_tried_again(served: Server, index: AnceIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live(served)
    live.look()
    index.delete(["d/3"])

    def fails(index: module.Index) -> module.Index:
        raise MemoryError

    with TestClient(create_app(served)) as client:
        with monkeypatch.context() as patch:
            patch.setattr(module, "_opened_anew", fails)
            live.look()
        assert "d/3" in docnos(client, "dense")
        live.look()
        assert "d/3" not in docnos(client, "dense")


def test_an_index_that_systems_share_is_opened_once(index: AnceIndex, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    system = open_systems(dataset, [f"a={index.folder}"], device="cpu")[0]
    server = Server(dataset, [system, replace(system, name="b")])
    opened: list[Path] = []
    monkeypatch.setattr(module, "_opened_anew", lambda one: (opened.append(one.folder), one)[1])
    Live(server).look()
    assert opened == [index.folder]
    server.close()


def test_an_index_of_another_model_is_not_taken_over_by_a_scorer_either(
    index: AnceIndex, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(dataset, open_systems(dataset, [f"cascade=bm25 % 20 >> {index.folder}"], device="cpu"))
    live = Live(server)
    shutil.rmtree(index.folder)
    encoder(seed=4).save(tmp_path / "other")
    index_corpus(index.folder, DenseEncoder.from_pretrained(tmp_path / "other", device="cpu"), dataset.store(), FirstP())
    with TestClient(create_app(server)) as client:
        before = client.post("/v1/cascade/search", json={"query": "king", "snippets": False}).json()["results"]
        live.look()
        assert client.post("/v1/cascade/search", json={"query": "king", "snippets": False}).json()["results"] == before
    server.close()
    assert [record.levelname for record in caplog.records if record.name.startswith("ance_ir.serve.") and record.levelno >= 30] == [
        "WARNING"
    ]
