"""Our encoders and systems in mteb and in BEIR's harness; figures are those of our own evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import UsageError
from ance_ir.eval import evaluate_on_dataset
from ance_ir.eval.harness.beir import BeirEncoder, BeirSearch
from ance_ir.eval.harness.mteb import MtebEncoder, MtebSearch
from ance_ir.models import DenseEncoder
from tests.tiny import WORDS, encoder

pytestmark = pytest.mark.integration

SENTENCES = [" ".join(WORDS[start : start + length]) for start, length in zip(range(6), (1, 5, 20, 3, 12, 30), strict=True)]


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MTEB_CACHE", str(tmp_path / "mteb"))
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A folder of BEIR's with a query that is a document."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pets"
    (folder / "qrels").mkdir(parents=True)
    words = np.array(WORDS)
    texts = [" ".join(rng.choice(words, size=rng.integers(3, 20))) for _ in range(60)]
    corpus = pd.DataFrame({"_id": [f"d{number}" for number in range(60)], "title": [text.split()[0] for text in texts], "text": texts})
    queries = pd.DataFrame({"_id": ["d3", "q1", "q2", "q3"], "text": [" ".join(texts[n].split()[:3]) for n in (3, 10, 20, 30)]})
    corpus.to_json(folder / "corpus.jsonl", orient="records", lines=True)
    queries.to_json(folder / "queries.jsonl", orient="records", lines=True)
    rows = [("d3", "d4", 1), ("d3", "d3", 1), ("q1", "d10", 2), ("q1", "d11", 1), ("q2", "d20", 1), ("q3", "d31", 1)]
    lines = [f"{qid}\t{docno}\t{label}\n" for qid, docno, label in rows]
    (folder / "qrels" / "test.tsv").write_text("".join(["query-id\tcorpus-id\tscore\n", *lines]), encoding="utf-8")
    return folder


def _ours(folder: Path, system: str) -> dict[str, float]:
    found = evaluate_on_dataset(load_dataset(folder), [f"x={system}"], measures=["nDCG@10", "R@100"], num_results=100)
    means = found.per_query["x"].mean()
    return {str(name): round(float(value), 5) for name, value in means.items()}


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("shared", [True, False])
def test_an_encoder_in_beirs_harness(beir: Path, tmp_path: Path, similarity: str, shared: bool) -> None:
    loader = pytest.importorskip("beir.datasets.data_loader")
    from beir.retrieval.evaluation import EvaluateRetrieval
    from beir.retrieval.search.dense import DenseRetrievalExactSearch

    model = encoder(shared=shared, normalize=similarity == "cosine")
    model.save(tmp_path / "tiny")
    corpus, queries, qrels = loader.GenericDataLoader(str(beir)).load(split="test")
    adapter = BeirEncoder(model)
    harness = EvaluateRetrieval(DenseRetrievalExactSearch(adapter, show_progress_bar=False), score_function=adapter.score_function)
    ndcg, _, recall, _ = harness.evaluate(qrels, harness.retrieve(corpus, queries), [10, 100])
    ours = _ours(beir, f"ance[model={tmp_path / 'tiny'}]")
    assert (ndcg["NDCG@10"], recall["Recall@100"]) == (pytest.approx(ours["nDCG@10"], abs=2e-5), pytest.approx(ours["R@100"], abs=2e-5))


@pytest.mark.parametrize("system", ["bm25", "bm25 % 5 >> ance[model=MODEL]", "rrf(bm25, ance[model=MODEL])"])
def test_a_system_in_beirs_harness(beir: Path, tmp_path: Path, system: str) -> None:
    loader = pytest.importorskip("beir.datasets.data_loader")
    from beir.retrieval.evaluation import EvaluateRetrieval

    encoder().save(tmp_path / "tiny")
    system = system.replace("MODEL", str(tmp_path / "tiny"))
    corpus, queries, qrels = loader.GenericDataLoader(str(beir)).load(split="test")
    harness = EvaluateRetrieval(BeirSearch(system), k_values=[10, 100])
    ndcg, _, recall, _ = harness.evaluate(qrels, harness.retrieve(corpus, queries), [10, 100])
    ours = _ours(beir, system)
    assert (ndcg["NDCG@10"], recall["Recall@100"]) == (pytest.approx(ours["nDCG@10"], abs=2e-5), pytest.approx(ours["R@100"], abs=2e-5))


def _scores(result: Any) -> dict[str, float]:
    (scores,) = result.task_results[0].scores["test"]
    return {name: value for name, value in scores.items() if isinstance(value, float)}


def test_an_encoder_in_mteb(tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb")
    from mteb.mocks.mock_tasks import MockRetrievalTask, MockSTSTask

    model = encoder(normalize=True, text={"query_length": 32})  # sentence-transformers has one length
    theirs = mteb.evaluate(model.as_sentence_transformer(), MockRetrievalTask(), cache=None, overwrite_strategy="always")
    ours = mteb.evaluate(MtebEncoder(model), MockRetrievalTask(), cache=None, overwrite_strategy="always")
    assert _scores(ours)["ndcg_at_10"] == pytest.approx(_scores(theirs)["ndcg_at_10"])
    assert mteb.evaluate(MtebEncoder(model), MockSTSTask(), cache=None, overwrite_strategy="always").task_results


@pytest.mark.parametrize("system", ["bm25", "bm25 % 5 >> ance[model=MODEL]"])
def test_a_system_in_mteb(tmp_path: Path, system: str) -> None:
    mteb = pytest.importorskip("mteb")
    from mteb.mocks.mock_tasks import MockMultilingualRetrievalTask, MockRetrievalTask

    encoder().save(tmp_path / "tiny")
    search = MtebSearch(system.replace("MODEL", str(tmp_path / "tiny")), name="mine")
    assert _scores(mteb.evaluate(search, MockRetrievalTask(), cache=None, overwrite_strategy="always"))["recall_at_10"] == 1
    assert mteb.evaluate(search, MockMultilingualRetrievalTask(), cache=None, overwrite_strategy="always").task_results
    assert search.mteb_model_meta.name == "ance_ir/mine"


def test_a_system_without_a_corpus_or_with_candidates_is_refused() -> None:
    with pytest.raises(UsageError, match="index"):
        MtebSearch("bm25").search([{"id": "q", "text": "x"}], top_k=3)
    with pytest.raises(UsageError, match="rerank"):
        MtebSearch("bm25").search([{"id": "q", "text": "x"}], top_k=3, top_ranked={"q": ["d"]})


@pytest.mark.parametrize("shared", [True, False])
def test_an_encoder_answers_as_a_model_of_sentence_transformers(tmp_path: Path, shared: bool) -> None:
    pytest.importorskip("sentence_transformers")
    model = encoder(shared=shared, text={"query_prefix": "query: ", "passage_prefix": "passage: ", "query_length": 32})
    other = model.as_sentence_transformer()
    for name in ("encode", "encode_query", "encode_document"):
        ours, theirs = getattr(model, name), getattr(other, name)
        np.testing.assert_allclose(ours(SENTENCES), theirs(SENTENCES), atol=1e-5)
        np.testing.assert_allclose(ours(SENTENCES[2]), theirs(SENTENCES[2]), atol=1e-5)
        assert ours(SENTENCES[2]).shape == (model.dimension,)
        tensor, expected = ours(SENTENCES, convert_to_tensor=True), theirs(SENTENCES, convert_to_tensor=True)
        assert (type(tensor), tensor.dtype, tensor.shape) == (type(expected), expected.dtype, expected.shape)
        listed = ours(SENTENCES, convert_to_numpy=False)
        assert isinstance(listed, list) and listed[0].shape == (model.dimension,)
        np.testing.assert_allclose(ours(SENTENCES, normalize_embeddings=True), theirs(SENTENCES, normalize_embeddings=True), atol=1e-5)
    np.testing.assert_allclose(model.encode(SENTENCES, prompt="so: "), other.encode(SENTENCES, prompt="so: "), atol=1e-5)
    np.testing.assert_allclose(model.encode(SENTENCES, prompt_name="document"), other.encode_document(SENTENCES), atol=1e-5)
    with pytest.raises(UsageError, match="documents"):
        model.encode(SENTENCES, prompt_name="documents")


def test_what_sentence_transformers_cannot_read_is_refused() -> None:
    model: DenseEncoder = encoder(text={"title_pair": True})
    with pytest.raises(UsageError, match="title_pair"):
        model.as_sentence_transformer()
