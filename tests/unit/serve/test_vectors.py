"""Documents, neighbours, feedback, vectors and reranking over HTTP, beside the library's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from ance_ir.datasets import Dataset
from ance_ir.indexes import AnceIndex, MaxP
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import BertReranker
from ance_ir.pipelines.feedback import FEEDBACKS
from ance_ir.serve.requests import Json
from ance_ir.serve.server import Server

QUERY = "the king sleeps"


@pytest.fixture(scope="module")
def index(folder: Path) -> AnceIndex:
    return AnceIndex(folder / "x.ance")


@pytest.fixture(scope="module")
def model(index: AnceIndex) -> DenseEncoder:
    return index.model(device="cpu")


def test_a_document_comes_with_the_passages_that_its_vectors_are_of(
    client: TestClient, dataset: Dataset, index: AnceIndex, model: DenseEncoder
) -> None:
    document = dataset.store().get(["d/7"])[0]
    reply = client.get(f"/v1/dense/documents/{quote('d/7', safe='')}", params={"query": QUERY}).json()
    assert (reply["docno"], reply["title"], reply["text"]) == ("d/7", document["title"], document["text"])
    cut = model.tokenizer.cut([model.settings.join(document)], MaxP(12, 4)).lists()[0]
    read = [model.tokenizer.tokenizer.decode(ids, skip_special_tokens=True) for ids in cut]
    read[0] = read[0].removeprefix(f"{document['title']} ")
    assert [reply["text"][one["start"] : one["end"]] for one in reply["passages"]] == read
    scores = index.passage_vectors("d/7") @ model.encode_queries([QUERY])[0]
    assert [one["score"] for one in reply["passages"]] == pytest.approx(scores.tolist(), abs=1e-4)
    assert client.get("/v1/bm25/documents/d/7").json()["passages"] == []
    assert [one["score"] for one in client.get("/v1/dense/documents/d/7").json()["passages"]] == [None] * len(read)


def test_a_document_that_a_systems_index_lacks_is_not_there_though_the_collection_has_it(client: TestClient) -> None:
    assert client.get("/v1/dense/documents/d%2F59").status_code == 404
    assert client.get("/v1/bm25/documents/d%2F59").status_code == 200
    assert client.get("/v1/bm25/documents/..%2F..%2Fetc%2Fpasswd").status_code == 404


def test_documents_without_vectors_are_refused_though_another_index_of_the_system_has_them(client: TestClient) -> None:
    assert client.get("/v1/cascade/documents/d%2F59").status_code == 200
    assert client.post("/v1/cascade/similar", json={"docno": "d/59"}).status_code == 404
    for asked in (["d/59"], ["d/1", "d/59"]):
        answer = client.post("/v1/cascade/feedback", json={"query": QUERY, "docnos": asked})
        assert answer.status_code == 404 and "d/59" in answer.json()["error"]


def test_results_show_the_passage_that_scored_best(client: TestClient) -> None:
    for result in client.get("/v1/dense/search", params={"q": QUERY}).json()["results"]:
        passages = client.get(f"/v1/dense/documents/{result['docno']}", params={"query": QUERY}).json()["passages"]
        best = max(passages, key=lambda one: one["score"])
        assert result["passage"]["number"] == best["number"]
        assert result["score"] == pytest.approx(best["score"], abs=1e-4)


def test_documents_like_another_are_those_with_the_nearest_vectors_without_itself(
    client: TestClient, index: AnceIndex, model: DenseEncoder
) -> None:
    found = client.post("/v1/dense/similar", json={"docno": "d/7", "k": 5}).json()["results"]
    middle = index.passage_vectors("d/7").mean(axis=0)
    expected = index.search(pd.DataFrame({"qid": ["1"], "query_vec": [middle]}), 6, model=model)
    assert [one["docno"] for one in found] == [docno for docno in expected["docno"] if docno != "d/7"][:5]
    assert [one["rank"] for one in found] == list(range(5))


@pytest.mark.parametrize("method", list(FEEDBACKS))
def test_feedback_is_that_of_the_library(client: TestClient, index: AnceIndex, model: DenseEncoder, method: str) -> None:
    asked = {"query": QUERY, "docnos": ["d/3", "d/9"], "method": method, "k": 4}
    found = client.post("/v1/dense/feedback", json=asked).json()["results"]
    results = pd.DataFrame({"qid": "1", "query": QUERY, "docno": ["d/3", "d/9"], "score": [2.0, 1.0], "rank": [0, 1]})
    expected = (FEEDBACKS[method](index, 2, model=model) >> index.retriever(model, 4)).transform(results)
    assert [one["docno"] for one in found] == expected["docno"].to_list()
    assert [one["score"] for one in found] == pytest.approx(expected["score"].to_list(), abs=1e-4)


def test_texts_become_vectors_as_queries_and_as_passages(client: TestClient, model: DenseEncoder) -> None:
    for role, encode in (("query", model.encode_queries), ("passage", model.encode_passages)):
        reply = client.post("/v1/cascade/encode", json={"texts": ["a cat", "the king sings"], "role": role}).json()
        np.testing.assert_allclose(reply["vectors"], encode(["a cat", "the king sings"]), atol=1e-5)
        assert (reply["dimension"], reply["similarity"]) == (model.dimension, model.similarity)


def test_vectors_are_written_and_documents_looked_up_beside_other_requests(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    for kind, method in ((Json, "render"), (Server, "documents"), (Server, "texts")):
        monkeypatch.setattr(kind, method, _noting(threads, getattr(kind, method)))
    client.get("/v1/health")
    loop = threads.pop()
    texts = ["a cat"]
    for path, body in (
        ("v1/dense/encode", {"texts": texts}),
        ("embed", {"inputs": texts}),
        ("v1/embeddings", {"model": "dense", "input": texts}),
    ):
        assert client.post(f"/{path}", json=body).status_code == 200
        assert threads.pop() != loop
    for path, body in (("rerank", {"query": QUERY, "docnos": ["d/1"]}), ("similar", {"docno": "d/1"}), ("documents/d%2F1", None)):
        threads.clear()
        reply = client.get(f"/v1/dense/{path}") if body is None else client.post(f"/v1/dense/{path}", json=body)
        assert (reply.status_code, threads[0] == loop) == (200, False)
    threads.clear()
    assert client.get("/v1/bm25/search", params={"query": QUERY}).json()["candidates"]
    assert threads[0] != loop


def _noting(threads: list[int], method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that notes the thread that calls it."""

    def noted(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return method(*arguments)

    return noted


def test_reranking_gives_the_scores_of_the_systems_last_scorer_in_the_order_asked(
    client: TestClient, dataset: Dataset, folder: Path, index: AnceIndex, model: DenseEncoder
) -> None:
    docnos = ["d/9", "d/1", "d/9", "d/5"]
    frame = pd.DataFrame({"qid": "1", "query": QUERY, "docno": docnos, "score": 0.0, "rank": range(4)})
    for name, scorer in (
        ("cascade", BertReranker.from_pretrained(folder / "bert", dataset=dataset, device="cpu")),
        ("dense", index.scorer(model)),
    ):
        scores = scorer.transform(frame).set_index("docno")["score"].to_dict()
        reply = client.post(f"/v1/{name}/rerank", json={"query": QUERY, "docnos": docnos}).json()
        assert reply["scores"] == pytest.approx([scores[docno] for docno in docnos], abs=1e-4)


def test_texts_are_reranked_whatever_their_form(client: TestClient, dataset: Dataset) -> None:
    stored = dataset.store().get(["d/9", "d/1"])

    def scores(**form: object) -> list[float]:
        found: list[float] = client.post("/v1/dense/rerank", json={"query": QUERY, **form}).json()["scores"]
        return found

    assert scores(texts=[one["text"] for one in stored]) == pytest.approx(scores(documents=[{"text": one["text"]} for one in stored]))
    as_given = scores(documents=[{"title": one["title"], "text": one["text"]} for one in stored])
    assert scores(docnos=["d/9", "d/1"]) == pytest.approx(as_given, abs=1e-4)
    assert client.post("/v1/dense/rerank", json={"query": QUERY, "texts": []}).json() == {"scores": []}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("bm25/similar", {"docno": "d/1"}, 409),
        ("bm25/encode", {"texts": ["x"]}, 409),
        ("bm25/rerank", {"query": "x", "texts": ["y"]}, 409),
        ("dense/similar", {"docno": "d/59"}, 404),
        ("dense/feedback", {"query": "x", "docnos": ["d/1"], "method": "magic"}, 400),
        ("dense/feedback", {"query": "x", "docnos": []}, 422),
        ("dense/rerank", {"query": "x"}, 422),
        ("dense/rerank", {"query": "x", "documents": [{"title": "y"}]}, 422),
        ("none/search", {"query": "x"}, 404),
        ("dense/search", {"query": "x", "k": 0}, 422),
        ("dense/search", {"query": "x", "k": 1001}, 422),
        ("dense/search", {"query": "x" * 10_001}, 422),
        ("dense/search", {"query": "x", "depth": 3}, 422),
    ],
)
def test_what_is_not_offered_is_refused_in_a_line(client: TestClient, path: str, body: dict[str, object], status: int) -> None:
    reply = client.post(f"/v1/{path}", json=body)
    assert (reply.status_code, list(reply.json())) == (status, ["error"])
    assert "\n" not in reply.json()["error"]
