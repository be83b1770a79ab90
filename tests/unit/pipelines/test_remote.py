"""Systems of a server: what is asked, what is asked again, and what is refused in one line. The contract is tests/contract's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt
import pytest
import urllib3

from ance_ir.datasets import load_dataset
from ance_ir.errors import PointedError, UsageError
from ance_ir.pipelines import Remote, RemoteScorer, systems
from ance_ir.pipelines.fingerprint import fingerprint
from ance_ir.pipelines.server import RemoteError, as_json
from ance_ir.pipelines.systems.parser import parse
from ance_ir.pipelines.systems.several import check_serves_several
from tests.processes import free_port
from tests.systems_server import SystemsServer, serving_systems

QUERIES = pd.DataFrame({"qid": ["1", "2", "3"], "query": ["king", "the moon", "king"]})


def by_length(frame: pd.DataFrame) -> pd.DataFrame:
    """Two documents a query."""
    lengths = frame["query"].str.len().tolist()
    rows = [
        {"qid": "1", "docno": docno, "score": 2.0 * length - place, "rank": place} for length in lengths for place, docno in enumerate("ab")
    ]
    return pd.DataFrame(rows)


def of_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The length of each text, else of the docno."""
    return frame.assign(score=(frame["text"] if "text" in frame else frame["docno"]).str.len().astype(float))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemsServer]:
    monkeypatch.setattr("ance_ir.pipelines.server._BACKOFF", 0.001)
    with serving_systems(SystemsServer({"a b/c": by_length}, {"s": of_texts})) as served:
        yield served


def test_each_query_is_asked_once_and_all_its_rows_get_the_answer(server: SystemsServer) -> None:
    found = Remote(server.url + "/", "a b/c", 1)(QUERIES)
    assert sorted((path, body["query"], body["k"]) for path, body, _ in server.asked) == [
        ("/v1/a%20b%2Fc/search", "king", 1),
        ("/v1/a%20b%2Fc/search", "the moon", 1),
    ]
    assert found.to_dict("list") == {
        "qid": ["1", "2", "3"],
        "query": ["king", "the moon", "king"],
        "docno": ["a", "a", "a"],
        "score": [8.0, 16.0, 8.0],
        "rank": [0, 0, 0],
    }


def test_texts_are_sent_where_the_frame_has_them_in_small_requests(server: SystemsServer) -> None:
    frame = pd.DataFrame({"qid": "1", "query": "king", "docno": [f"d{number}" for number in range(250)]})
    scorer = RemoteScorer(server.url, "s")
    assert scorer(frame).set_index("docno")["score"].to_dict() == {docno: float(len(docno)) for docno in frame["docno"]}
    assert sorted(len(body["documents"]) for _, body, _ in server.asked) == [50, 100, 100]
    texts = ["x" * number for number in range(249)]
    found = scorer(frame.assign(text=[*texts, ""], title=None)).set_index("docno")["score"]
    assert found[frame["docno"]].tolist() == [*map(float, range(249)), 0.0]
    assert server.asked[-1][1]["documents"][0].keys() == {"docno", "title", "text"}
    for wrong in (None, 5):
        with pytest.raises(UsageError, match=f"'d249'.*{wrong}"):
            scorer(frame.assign(text=pd.Series([*texts, wrong], dtype=object)))


def test_long_documents_are_sent_apart(server: SystemsServer) -> None:
    texts = ["x" * (1 << 19), "x" * (1 << 19), "short", "x" * (1 << 21), "short too"]
    frame = pd.DataFrame({"qid": "1", "query": "king", "docno": [*"abcde"], "text": texts})
    found = RemoteScorer(server.url, "s")(frame).set_index("docno")["score"]
    assert found[[*"abcde"]].tolist() == [len(text) for text in texts]
    assert sorted(len(body["documents"]) for _, body, _ in server.asked) == [1, 1, 1, 2]


def test_requests_are_short_whatever_the_texts(server: SystemsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    request = urllib3.PoolManager.request

    def noted(*arguments: Any, **options: Any) -> Any:
        sent.append(len(options["body"]))
        return request(*arguments, **options)

    monkeypatch.setattr(urllib3.PoolManager, "request", noted)
    texts = ["日" * 300_000, "\n" * 500_000, "x" * 900_000, "short"]
    frame = pd.DataFrame({"qid": "1", "query": "king", "docno": [*"abcd"], "text": texts})
    found = RemoteScorer(server.url, "s")(frame).set_index("docno")["score"]
    assert found[[*"abcd"]].tolist() == [len(text) for text in texts], "texts come as they are"
    assert len(sent) == 3 and max(sent) < 1.1 * (1 << 20)
    assert json.loads(as_json("half a pair \ud800")) == "half a pair \ud800"


@pytest.mark.parametrize("failure", [(503, {"Retry-After": "0"}), (429, {}), (502, {}), None])
def test_a_server_that_is_busy_or_breaks_off_is_asked_again(server: SystemsServer, failure: tuple[int, dict[str, str]] | None) -> None:
    remote = Remote(server.url, "a b/c", batch_size=1, retries=2)
    expected = remote(QUERIES)
    server.failures[:] = [failure, failure]
    pd.testing.assert_frame_equal(remote(QUERIES), expected)
    server.failures[:] = [failure] * 3
    with pytest.raises(RemoteError, match="is not reached" if failure is None else str(failure[0])):
        remote(QUERIES)


def test_it_waits_as_long_as_the_server_says(server: SystemsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", slept.append)
    server.failures[:] = [(503, {"Retry-After": "7"}), (503, {"Retry-After": "86400"})]
    Remote(server.url, "a b/c")(QUERIES.head(1))
    assert slept == [7, 30], "a day is too long"


def test_what_is_refused_is_not_asked_again(server: SystemsServer) -> None:
    with pytest.raises(RemoteError, match=r"404.*'other'.*a b/c"):
        Remote(server.url, "other")(QUERIES.head(1))
    assert len(server.asked) == 1
    server.failures[:] = [(504, {})]
    with pytest.raises(RemoteError, match="504"):
        Remote(server.url, "a b/c")(QUERIES.head(1))


def test_a_server_that_is_not_there() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RemoteError, match=url):
        Remote(url, "dense", retries=0)(QUERIES)


@pytest.mark.parametrize("answer", [None, [], {"results": [{"docno": "a"}]}, {"results": 3}, {"results": [{"docno": "a", "score": "x"}]}])
def test_an_answer_of_another_kind_of_server_is_refused(server: SystemsServer, answer: object) -> None:
    server.answer = lambda _: answer
    with pytest.raises(RemoteError, match=server.url):
        Remote(server.url, "a b/c")(QUERIES)


def test_scores_that_are_too_few_or_no_numbers_are_refused(server: SystemsServer) -> None:
    frame = QUERIES.assign(docno="d")
    server.answer = lambda _: {"scores": []}
    with pytest.raises(RemoteError, match=r"1 scores.*found 0"):
        RemoteScorer(server.url, "s")(frame)
    server.answer = lambda value: {"scores": [float("nan")] * len(value["scores"])}
    with pytest.raises(UsageError, match="score must be a finite number"):
        RemoteScorer(server.url, "s")(frame)


def test_the_token_comes_from_the_environment_and_is_shown_nowhere(server: SystemsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_TOKEN", "secret")
    remote = Remote(server.url, "a b/c")
    remote(QUERIES)
    assert {token for *_, token in server.asked} == {"Bearer secret"}
    assert "secret" not in repr(remote)


def test_connections_are_kept(server: SystemsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    new = urllib3.connectionpool.HTTPConnectionPool._new_conn
    monkeypatch.setattr(urllib3.connectionpool.HTTPConnectionPool, "_new_conn", lambda self: opened.append(self) or new(self))
    remote = Remote(server.url, "a b/c")
    for _ in range(3):
        remote(QUERIES.head(1))
    assert len(opened) == 1


def test_its_results_are_not_taken_for_those_of_another_day(server: SystemsServer) -> None:
    assert fingerprint(Remote(server.url, "a b/c")) is None
    assert fingerprint(pt.RankCutoff(3) >> RemoteScorer(server.url, "s")) is None


@pytest.mark.parametrize(("wanted", "asked"), [(7, 8), (1000, 1000)])
def test_no_more_is_asked_for_than_a_server_ranks(server: SystemsServer, tmp_path: Path, wanted: int, asked: int) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"docno": "a", "text": "king"}\n')
    parser = systems.Systems(load_dataset(tmp_path), num_results=wanted, counts_itself=False)
    server.searching = {"a": by_length}
    _, system = parser.parse(f"{server.url}/a")
    assert system(QUERIES.head(1).assign(qid="a"))["docno"].tolist() == ["b"]
    assert server.asked[-1][1]["k"] == asked


def test_the_text_of_a_system_names_a_server(server: SystemsServer, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"docno": "a", "text": "king"}\n')
    dataset, url = load_dataset(tmp_path), server.url
    server.searching = {"a": by_length}
    alone = systems.get(f"{url}/a", dataset, num_results=7)
    assert isinstance(alone, Remote) and (alone.url, alone.system, alone.num_results) == (url, "a", 7)
    cascade = systems.get(f"x={url}/a % 2 >> {url}/s", dataset)
    pd.testing.assert_frame_equal(cascade(QUERIES), (Remote(url, "a") % 2 >> RemoteScorer(url, "s"))(QUERIES))
    for wrong in (url, f"{url}/a[k1=2]", "http:///a"):
        with pytest.raises(PointedError, match="http://"):
            systems.get(wrong, dataset)
    with pytest.raises(PointedError, match="one collection"):
        check_serves_several(parse(f"{url}/a"))
