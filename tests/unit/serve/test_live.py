"""Indexes that change while they are served."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ance_ir.datasets import Dataset
from ance_ir.indexes import AnceIndex, add_documents
from ance_ir.serve.app import create_app
from ance_ir.serve.live import Live
from ance_ir.serve.server import Server
from ance_ir.serve.systems import open_systems


@pytest.fixture
def index(folder: Path, tmp_path: Path) -> AnceIndex:
    return AnceIndex(shutil.copytree(folder / "x.ance", tmp_path / "live.ance"))


@pytest.fixture
def served(index: AnceIndex, dataset: Dataset) -> Iterator[Server]:
    server = Server(dataset, open_systems(dataset, [f"dense={index.folder}", f"prf={index.folder}[prf=average:2]"], device="cpu"))
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
        assert not {"d/3", "d/4"} & (docnos(client, "dense") | docnos(client, "prf"))
        assert client.get("/v1/dense/documents/d/3").status_code == 404
        index.compact()
        live.look()
        assert len(docnos(client, "dense")) == len(docnos(client, "prf")) == 57
        add_documents(index, index.model(device="cpu"), dataset.store().get(["d/3", "d/59"]))
        live.look()
        assert {"d/3", "d/59"} <= docnos(client, "dense")
        assert client.post("/v1/dense/similar", json={"docno": "d/59", "k": 1}).json()["results"]


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
