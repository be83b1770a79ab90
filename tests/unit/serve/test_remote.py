"""``Remote`` and ``RemoteScorer`` over the server itself: what they give is what the same systems give in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from ance_ir.datasets import Dataset
from ance_ir.indexes import DenseRetriever
from ance_ir.pipelines import BertReranker, Remote, RemoteScorer
from ance_ir.pipelines.server import RemoteError
from ance_ir.serve.app import create_app
from ance_ir.serve.running import address_of, listen
from ance_ir.serve.server import Server
from tests.listening import app_at

QUERIES = pd.DataFrame({"qid": ["1", "2", "3"], "query": ["king of the river", "who sleeps", "dog"], "topic": [7, 8, 9]})


@pytest.fixture(scope="module")
def url(server: Server) -> Iterator[str]:
    """Where the server answers."""
    with listen("127.0.0.1", 0) as listening, app_at(create_app(server), listening):
        yield address_of(listening)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found[["qid", "docno", "rank"]].to_dict("list") == expected[["qid", "docno", "rank"]].to_dict("list")
    assert found["score"].tolist() == pytest.approx(expected["score"].tolist(), rel=1e-4, abs=1e-5)
    assert found["topic"].tolist() == expected["topic"].tolist()


def dense(server: Server) -> DenseRetriever:
    found = server.system("dense").dense
    assert isinstance(found, DenseRetriever)
    return found


def test_it_retrieves(url: str, server: Server) -> None:
    assert_same(Remote(url, "dense", 10)(QUERIES), (dense(server) % 10)(QUERIES))
    assert_same((Remote(url, "dense") % 4)(QUERIES), (dense(server) % 4)(QUERIES))


def test_it_scores_documents_of_the_index_and_others_by_their_texts(url: str, server: Server) -> None:
    candidates = (dense(server) % 5)(QUERIES).drop(columns=["score", "rank"])
    scorer = dense(server).index.scorer(dense(server).model)
    assert_same(RemoteScorer(url, "dense")(candidates), scorer(candidates))
    others = candidates.assign(docno="new " + candidates["docno"], title="the king", text="a dog in the river")
    assert_same(RemoteScorer(url, "dense")(others), scorer(others))


def test_it_reranks(url: str, server: Server, dataset: Dataset) -> None:
    candidates = (dense(server) % 5)(QUERIES)
    reranker = server.system("cascade").reranker
    assert isinstance(reranker, BertReranker)
    texts = dataset.text_loader(("title", "text"))(candidates)
    assert_same(RemoteScorer(url, "cascade")(texts), reranker(texts))
    assert_same(RemoteScorer(url, "cascade")(candidates), reranker(texts))


def test_what_the_server_refuses_is_told(url: str) -> None:
    for remote in (Remote(url, "none"), Remote(url, "dense", 10_000)):
        with pytest.raises(RemoteError, match=url):
            remote(QUERIES)
    with pytest.raises(RemoteError, match="nowhere"):
        RemoteScorer(url, "dense")(QUERIES.assign(docno="nowhere"))
