"""Others' protocols, asked by their own clients where these install; a server at a port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from ance_ir.datasets import Dataset
from ance_ir.serve.app import create_app
from ance_ir.serve.connections import LimitedConnection
from ance_ir.serve.running import address_of, listen
from ance_ir.serve.server import Server
from tests.listening import app_at

_CANDIDATE = {
    "type": "object",
    "required": ["docid", "score", "rank", "doc"],
    "properties": {"docid": {"type": "string"}, "score": {"type": "number"}, "rank": {"type": "integer", "minimum": 1}},
}
PYSERINI = {
    "search": {
        "type": "object",
        "required": ["api", "index", "query", "candidates"],
        "properties": {
            "query": {"type": "object", "required": ["text"]},
            "candidates": {"type": "array", "items": _CANDIDATE},
        },
    },
    "doc": {"type": "object", "required": ["api", "index", "docid", "doc"]},
    "error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
}
"""What the OpenAPI description of Pyserini's server (``pyserini/server/rest/openapi.yaml``) says of answers, shortened."""


@pytest.fixture(scope="module")
def url(server: Server) -> Iterator[str]:
    with listen("127.0.0.1", 0) as listening, app_at(create_app(server, hosts=()), listening, http=LimitedConnection):
        yield address_of(listening)


def test_anserinis_paths(url: str, dataset: Dataset) -> None:
    ours = httpx.get(f"{url}/v1/bm25/search", params={"q": "who sleeps", "k": 3}).json()["results"]
    theirs = httpx.get(f"{url}/v1/bm25/search", params={"query": "who sleeps", "hits": 3}).json()
    assert (theirs["api"], theirs["index"], theirs["query"]) == ("v1", "bm25", {"text": "who sleeps"})
    assert [(one["docid"], one["rank"], one["score"]) for one in theirs["candidates"]] == [
        (one["docno"], one["rank"] + 1, one["score"]) for one in ours
    ]
    stored = dataset.store().get([ours[0]["docno"]])[0]
    shown = {"title": stored["title"], "contents": stored["text"]}
    assert theirs["candidates"][0]["doc"] == shown
    assert httpx.get(f"{url}/v1/bm25/doc/{ours[0]['docno']}").json()["doc"] == shown
    assert isinstance(httpx.get(f"{url}/v1/bm25/doc/{ours[0]['docno']}", params={"parse": "false"}).json()["doc"], str)
    older = httpx.get(f"{url}/api/v1.0/indexes/bm25/search", params={"query": "who sleeps", "hits": 3, "qid": "7"}).json()
    assert (older["query"], older["candidates"]) == ({"qid": "7", "text": "who sleeps"}, theirs["candidates"])
    assert "dense" in httpx.get(f"{url}/api/v1.0/indexes").json()


def test_answers_are_as_pyserinis_description_says(url: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    theirs = httpx.get(f"{url}/v1/bm25/search", params={"query": "who sleeps", "hits": 3}).json()
    refused = httpx.get(f"{url}/v1/none/doc/d/1")
    assert refused.status_code == 404
    for answer, kind in ((theirs, "search"), (httpx.get(f"{url}/v1/bm25/doc/d/1").json(), "doc"), (refused.json(), "error")):
        jsonschema.validate(answer, PYSERINI[kind])


def test_openais_client(url: str) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    expected = httpx.post(f"{url}/v1/dense/encode", json={"texts": ["a cat", "the king"], "role": "passage"}).json()["vectors"]
    found = client.embeddings.create(model="dense", input=["a cat", "the king"])
    np.testing.assert_allclose([one.embedding for one in found.data], expected, atol=1e-5)
    as_query = client.embeddings.create(model="dense", input="a cat", encoding_format="float", extra_body={"input_type": "query"})
    asked = httpx.post(f"{url}/v1/dense/encode", json={"texts": ["a cat"]}).json()["vectors"]
    np.testing.assert_allclose([as_query.data[0].embedding], asked, atol=1e-5)
    assert "dense" in [one.id for one in client.models.list()]
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="none", input="x")


def test_text_embeddings_inference(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)  # it counts this machine as the network
    found = np.array(hub.InferenceClient(model=f"{url}/tei/dense/embed").feature_extraction("a cat", prompt_name="query", normalize=True))
    expected = np.array(httpx.post(f"{url}/v1/dense/encode", json={"texts": ["a cat"]}).json()["vectors"])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    vectors = httpx.post(f"{url}/v1/dense/encode", json={"texts": ["a", "b"], "role": "passage"}).json()["vectors"]
    at_the_top = httpx.post(f"{url}/embed", json={"inputs": ["a", "b"], "normalize": False}).json()
    np.testing.assert_allclose(at_the_top, vectors, atol=1e-5)
    asked = {"query": "the king", "texts": ["a cat", "the king sings", "a tree"]}
    scores = httpx.post(f"{url}/v1/cascade/rerank", json=asked).json()["scores"]
    ranked = httpx.post(f"{url}/tei/cascade/rerank", json={**asked, "raw_scores": True, "return_text": True}).json()
    assert [one["index"] for one in ranked] == np.argsort(-np.array(scores)).tolist()
    assert [one["score"] for one in ranked] == pytest.approx(sorted(scores, reverse=True), abs=1e-4)
    assert [one["text"] for one in ranked] == [asked["texts"][one["index"]] for one in ranked]
    logistic = httpx.post(f"{url}/tei/cascade/rerank", json=asked).json()
    assert [one["score"] for one in logistic] == pytest.approx([1 / (1 + np.exp(-one["score"])) for one in ranked], abs=1e-5)
    assert httpx.get(f"{url}/info").json()["max_input_length"] == 32


def test_concurrent_requests_get_what_each_gets_alone(url: str) -> None:
    queries = [f"{first} {second}" for first in ("who", "cat", "king", "tree") for second in ("sleeps", "runs", "city", "sings")]

    async def all_at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient() as client:
            return await asyncio.gather(*(client.get(f"{url}/v1/dense/search", params={"q": query}) for query in queries))

    for query, reply in zip(queries, asyncio.run(all_at_once()), strict=True):
        together, alone = reply.json()["results"], httpx.get(f"{url}/v1/dense/search", params={"q": query}).json()["results"]
        assert [one["docno"] for one in together] == [one["docno"] for one in alone]
        assert [one["score"] for one in together] == pytest.approx([one["score"] for one in alone], abs=1e-4)
