"""Search over HTTP: what comes back is what the same system gives in the library."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd
import pytest
from starlette.testclient import TestClient

from ance_ir.datasets import Dataset
from ance_ir.indexes import FirstP, index_corpus
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import Systems
from ance_ir.serve.server import Server
from ance_ir.serve.systems import open_systems
from tests.tiny import encoder


@pytest.mark.parametrize("name", ["bm25", "dense", "cascade", "rrf(bm25, x.ance)"])
def test_a_search_gives_what_the_library_gives(
    client: TestClient, dataset: Dataset, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text = {"dense": "x.ance", "cascade": "bm25 % 20 >> x.ance >> ./bert"}.get(name, name)
    pipeline = Systems(dataset, device="cpu").parse(text)[1]
    expected = pipeline.transform(pd.DataFrame({"qid": ["1"], "query": ["who sleeps in the city"]}))
    found = client.post(f"/v1/{name}/search", json={"query": "who sleeps in the city", "k": 5, "offset": 2}).json()
    assert [(one["docno"], one["rank"]) for one in found["results"]] == list(zip(expected["docno"], expected["rank"], strict=True))[2:7]
    assert [one["score"] for one in found["results"]] == pytest.approx(expected["score"].to_list()[2:7], abs=1e-5)
    assert (found["system"], found["query"], found["k"], found["offset"]) == (name, "who sleeps in the city", 5, 2)
    by_address = client.get(f"/v1/{name}/search", params={"q": "who sleeps in the city", "k": 5, "offset": 2}).json()
    assert by_address["results"] == found["results"]


def test_a_document_that_a_later_stage_lacks_is_left_out(client: TestClient, dataset: Dataset) -> None:
    query = dataset.store().get(["d/59"])[0]["text"]
    assert "d/59" in [one["docno"] for one in client.post("/v1/bm25/search", json={"query": query}).json()["results"]]
    found = [one["docno"] for one in client.post("/v1/cascade/search", json={"query": query, "k": 20}).json()["results"]]
    assert len(found) == 19
    assert "d/59" not in found


def test_each_model_of_a_system_scores_by_its_own_query_vectors(
    dataset: Dataset, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder(seed=4).save(tmp_path / "other")
    index_corpus(tmp_path / "y.ance", DenseEncoder.from_pretrained(tmp_path / "other", device="cpu"), dataset.store(), FirstP())
    monkeypatch.chdir(folder)
    text = f"x.ance % 20 >> ({tmp_path}/y.ance + x.ance)"
    expected = Systems(dataset, device="cpu").parse(text)[1].transform(pd.DataFrame({"qid": ["1"], "query": ["who sleeps"]}))
    expected = expected.sort_values("rank")
    server = Server(dataset, open_systems(dataset, [f"mix={text}"], device="cpu"))
    for snippets in (True, False):
        found = asyncio.run(server.search("mix", "who sleeps", 20, snippets=snippets))["results"]
        assert [one["docno"] for one in found] == expected["docno"].to_list()
        assert [one["score"] for one in found] == pytest.approx(expected["score"].to_list(), abs=1e-5)
    server.close()
