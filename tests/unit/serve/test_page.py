"""What the search page asks for besides searches, and systems that join a server that runs."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import ModelError
from ance_ir.indexes.store import corpus
from ance_ir.progress import Told
from ance_ir.serve import pending
from ance_ir.serve.app import create_app
from ance_ir.serve.pending import Pending, dense_later
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.server import Server
from ance_ir.serve.systems import Served, open_systems
from ance_ir.serve.topics import Topics
from tests.command import Run


def test_all_files_that_the_page_names_are_there_and_no_others(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "'unsafe" not in page.headers["content-security-policy"] and "default-src 'none'" in page.headers["content-security-policy"]
    named = [part.partition('"')[0] for part in page.text.replace('src="', 'href="').split('href="')[1:]]
    assert {client.get(f"/{name}").status_code for name in named if name.startswith("page/")} == {200}
    for name in ("__init__.py", "..%2fserver.py", "%2fetc%2fpasswd", "page.htm"):
        assert client.get(f"/page/{name}").status_code == 404


def test_queries_are_suggested_by_their_beginning_then_by_a_word(folder: Path) -> None:
    collection = folder / "asked"
    collection.mkdir()
    (collection / "corpus.jsonl").write_text('{"docno": "d1", "text": "x"}\n')
    (collection / "queries.tsv").write_text("1\tA dog  sleeps\n2\tthe dog runs\n3\tDogs bark\n4\thotdog\n")
    (collection / "queries.train.tsv").write_text("5\tdog of training\n")
    (collection / "qrels.txt").write_text("2 0 d1 3\n2 0 d2 0\n")
    topics = Topics(load_dataset(collection))
    assert [query["qid"] for query in topics.suggest(" DOG", 10)] == ["3", "1", "2"]
    assert [query["qid"] for query in topics.suggest("", 2)] == ["1", "2"]
    judged = topics.judgements("The dog   runs")
    assert (judged.qid, judged.judgements, judged.relevant) == ("2", {"d1": 3, "d2": 0}, 1)
    assert topics.judgements("Dogs bark").judgements == {}
    assert topics.judgements("dog of training").qid is None


def test_a_collection_without_judgements_has_queries(client: TestClient) -> None:
    assert client.get("/v1/queries", params={"prefix": "dog", "limit": 5}).json() == [{"qid": "q2", "query": "dog runs in the city"}]
    assert client.get("/v1/judgements", params={"query": "who sleeps"}).json() == {"qid": "q1", "judgements": {}, "relevant": 1}
    assert client.get("/v1/queries", params={"limit": 0}).status_code == 422


def test_a_dense_system_joins_once_its_index_is_built_and_goes_on_where_it_was_stopped(
    folder: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "LEAST", 8)
    monkeypatch.setattr(pending, "PASSAGES", "sliding:16,12")
    model = str(folder / "dense")
    server = Server(dataset, open_systems(dataset, ["bm25"]))
    first = dense_later(dataset, model, device="cpu")
    told, seen = first._told, threading.Event()

    def slow(done: int, total: int) -> None:
        told(done, total)
        if done >= 16:
            seen.set()
            first._stopping.wait(10)

    first._told = slow  # type: ignore[method-assign]
    server.expect(first)
    with TestClient(create_app(server)) as client:
        assert seen.wait(10)
        shown = client.get("/v1/systems").json()["systems"]
        assert [(one["name"], one["ready"]) for one in shown] == [("bm25", True), ("dense", False)]
        assert 16 <= shown[1]["done"] < shown[1]["total"] == 60
        refused = client.get("/v1/dense/search", params={"q": "who sleeps"})
        assert refused.status_code == 503 and "retry-after" in refused.headers
        ready = client.get("/v1/ready")
        assert ready.status_code == 503 and "dense" in ready.json()["error"] and "of 60" in ready.json()["error"]
        assert client.head("/v1/health").status_code == 200
        assert len(client.get("/v1/bm25/search", params={"q": "who sleeps"}).json()["results"]) == 10
    server.close()

    again = Server(dataset, open_systems(dataset, ["bm25"]))
    second = dense_later(dataset, model, device="cpu")
    begins: list[int] = []
    more = second._told
    second._told = lambda done, total: (begins.append(done), more(done, total))[0]  # type: ignore[method-assign]
    again.expect(second)
    second._thread.join(30)
    assert begins[1] >= 8, "what was complete is not encoded again"
    assert [one["ready"] for one in again.described()["systems"]] == [True, True]
    again.check_ready()
    found = asyncio.run(again.search("dense", "who sleeps in the city"))
    assert shown[1]["text"] == again.described()["systems"][1]["text"]
    expected = open_systems(dataset, [second.text], device="cpu")[0]
    assert [one["docno"] for one in found["results"]] == [one for one in _best(expected)]
    again.close()


def _best(system: Served) -> list[str]:
    ((_, retriever),) = system.stages
    return list((retriever % 10).search("who sleeps in the city")["docno"])


@pytest.mark.parametrize(
    ("error", "reason"), [(ModelError("there is no\nsuch model"), "there is no such model"), (KeyError("x"), "KeyError")]
)
def test_a_system_that_cannot_be_opened_is_told_and_hurts_no_other(dataset: Dataset, error: Exception, reason: str) -> None:
    def fails(told: Told) -> Served:
        raise error

    server = Server(dataset, open_systems(dataset, ["bm25"]))
    failing = Pending("dense", "x", fails)
    server.expect(failing)
    failing._thread.join(10)
    assert reason in server.described()["systems"][1].get("error", "")
    for ask, status in ((lambda: server.system("dense"), 409), (server.check_ready, 503)):
        with pytest.raises(Refusal, match=reason) as refused:
            ask()
        assert refused.value.status == status
    assert len(asyncio.run(server.search("bm25", "who sleeps"))["results"]) == 10
    server.close()


def test_a_server_ends_while_a_system_is_opened(dataset: Dataset) -> None:
    let = threading.Event()

    def waits(told: Told) -> Served:
        assert let.wait(20)
        raise ModelError("late")

    server = Server(dataset, open_systems(dataset, ["bm25"]))
    server.expect(Pending("dense", "x", waits))
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 15
    let.set()


def test_a_system_may_join_while_one_is_sought_that_offers_something(dataset: Dataset) -> None:
    server = Server(dataset, open_systems(dataset, ["bm25"]))

    class Joining:
        @property
        def offers(self) -> list[str]:
            server.systems["new"] = bm25
            return []

    bm25 = server.systems["bm25"]
    server.systems["bm25"] = Joining()  # type: ignore[assignment]
    with pytest.raises(Refusal, match="no system"):
        server.first("encode")
    server.close()


def test_exactly_one_collection_is_named(run: Run, folder: Path) -> None:
    for arguments in ((), (folder / "collection", "--dataset", folder / "collection")):
        status, _, told = run("serve", "--port", 0, *arguments)
        assert status == 2 and "--dataset" in told
