"""Clients of other servers, asking ours: RankLLM's of Anserini's REST API, and tei_client's of text-embeddings-inference."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi")

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.serve.app import create_app
from ance_ir.serve.connections import LimitedConnection
from ance_ir.serve.running import address_of, listen
from ance_ir.serve.server import Server
from ance_ir.serve.systems import Served, open_systems
from tests.listening import app_at
from tests.neighbours.conftest import needs
from tests.tiny import cross_encoder

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, str]]) -> Dataset:
    """The small collection on disk."""
    folder: Path = tmp_path_factory.mktemp("collection")
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    return load_dataset(folder)


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, index: AnceIndex, model: DenseEncoder) -> list[Served]:
    """``bm25``, ``dense`` and ``cascade``, which reranks with a cross-encoder."""
    folder: Path = tmp_path_factory.mktemp("models")
    model.save(folder / "dense")
    cross_encoder().save(folder / "bert")
    texts = ["bm25", f"dense={index.folder}", f"cascade=bm25 % 20 >> {folder / 'bert'}"]
    return open_systems(dataset, texts, model=str(folder / "dense"), device="cpu")


@pytest.fixture(scope="module")
def url(dataset: Dataset, systems: list[Served]) -> Iterator[str]:
    """The address of a server over them."""
    server = Server(dataset, systems)
    with listen("127.0.0.1", 0) as listening, app_at(create_app(server, hosts=()), listening, http=LimitedConnection):
        yield address_of(listening)
    server.close()


def test_rank_llm_retrieves_as_from_anserini(
    url: str, systems: list[Served], queries: pd.DataFrame, documents: list[dict[str, str]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyserini.index.lucene", None)  # RankLLM's other retriever does without, and this one needs no Java
        needs("rank_llm.retrieve")
    from rank_llm.data import Query, Request
    from rank_llm.retrieve import ServiceRetriever

    texts = {one["docno"]: one["text"] for one in documents}
    expected = (systems[0].stages[0][1] % 5).transform(queries)
    for qid, query in queries.itertuples(index=False):
        found = ServiceRetriever().retrieve("bm25", Request(query=Query(text=query, qid=qid)), k=5, host=url)
        ours = expected[expected["qid"] == qid]
        assert (found.query.qid, found.query.text) == (qid, query)
        assert [one.docid for one in found.candidates] == ours["docno"].tolist()
        assert [one.score for one in found.candidates] == pytest.approx(ours["score"].tolist())
        assert [one.doc for one in found.candidates] == [texts[docno] for docno in ours["docno"]]


def test_tei_client_encodes_and_reranks(url: str, model: DenseEncoder) -> None:
    tei: ModuleType = needs("tei_client")
    encoder, reranker = (tei.HttpClient(f"{url}/tei/{system}") for system in ("dense", "cascade"))
    assert encoder.health()
    assert (encoder.model_type, reranker.model_type) == (tei.ModelType.Embedding, tei.ModelType.Reranker)
    assert encoder.info().max_input_length == model.settings.passage_length
    texts = ["red cat", "the king sings"]
    for name, ours in (("query", model.encode_queries(texts)), (None, model.encode_passages(texts))):
        np.testing.assert_allclose(encoder.embed(texts, normalize=False, prompt_name=name), ours, atol=1e-5)
    ranked = reranker.rerank("the king", texts, raw_scores=True, return_text=True).ranks
    assert sorted(one.index for one in ranked) == [0, 1]
    assert [one.text for one in ranked] == [texts[one.index] for one in ranked]
    assert ranked[0].score > ranked[1].score
