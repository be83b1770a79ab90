"""Search over HTTP: what comes back is what the same system gives in the library."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from starlette.testclient import TestClient

from ance_ir.datasets import Dataset
from ance_ir.pipelines import Systems


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
