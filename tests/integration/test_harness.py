"""Our encoders and systems in mteb and in BEIR's harness; figures are those of our own evaluation."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.datasets.conversion import convert
from ance_ir.errors import MissingDependencyError, UsageError
from ance_ir.eval import evaluate_on_dataset
from ance_ir.eval.harness.beir import BeirEncoder, BeirSearch
from ance_ir.eval.harness.mteb import MtebEncoder, MtebSearch
from ance_ir.models import DenseEncoder
from tests.tiny import WORDS, encoder

pytestmark = [pytest.mark.slow, pytest.mark.integration]

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
    assert {"nDCG@10": ndcg["NDCG@10"], "R@100": recall["Recall@100"]} == pytest.approx(ours, abs=2e-5)


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
    assert {"nDCG@10": ndcg["NDCG@10"], "R@100": recall["Recall@100"]} == pytest.approx(ours, abs=2e-5)


def _task(folder: Path) -> Any:
    """A folder of BEIR's as a task of MTEB's."""
    from datasets import Dataset as Rows
    from mteb.mocks.mock_tasks import MockRetrievalTask

    dataset = load_dataset(folder)
    qrels: dict[str, dict[str, int]] = {}
    for qid, docno, label in dataset.qrels().itertuples(index=False):
        qrels.setdefault(qid, {})[docno] = int(label)
    corpus = [{"id": one["docno"], "title": one.get("title", ""), "text": one["text"]} for one in dataset.documents()]
    queries = [{"id": qid, "text": query} for qid, query in dataset.queries()[["qid", "query"]].itertuples(index=False)]
    split = {"corpus": Rows.from_list(corpus), "queries": Rows.from_list(queries), "relevant_docs": qrels, "top_ranked": None}

    class Task(MockRetrievalTask):
        ignore_identical_ids = True

        def load_data(self, *arguments: Any, **options: Any) -> None:
            self.dataset = {"default": {"test": split, "val": split}}
            self.data_loaded = True

    return Task()


def _evaluated(model: Any, task: Any) -> dict[str, float]:
    (scores,) = _of_subsets(model, task)
    return scores


def _of_subsets(model: Any, task: Any) -> list[dict[str, float]]:
    import mteb

    result = mteb.evaluate(model, task, cache=None, overwrite_strategy="always")
    return [{name: value for name, value in scores.items() if isinstance(value, float)} for scores in result.task_results[0].scores["test"]]


@pytest.mark.parametrize("shared", [True, False])
def test_an_encoder_in_mteb(beir: Path, tmp_path: Path, shared: bool) -> None:
    pytest.importorskip("mteb")
    model = encoder(shared=shared, normalize=True)
    model.save(tmp_path / "tiny")
    found = _evaluated(MtebEncoder(model), _task(beir))
    ours = _ours(beir, f"ance[model={tmp_path / 'tiny'}]")
    assert {"nDCG@10": found["ndcg_at_10"], "R@100": found["recall_at_100"]} == pytest.approx(ours, abs=2e-5)


def test_an_encoder_in_mtebs_own_tasks_as_a_model_of_sentence_transformers(tmp_path: Path) -> None:
    pytest.importorskip("mteb")
    from mteb.mocks.mock_tasks import MockClassificationTask, MockInstructionRetrieval, MockRerankingTask, MockRetrievalTask, MockSTSTask

    model = encoder(normalize=True)
    other = model.as_sentence_transformer()
    for task in (MockRetrievalTask, MockInstructionRetrieval, MockRerankingTask, MockSTSTask, MockClassificationTask):
        ours, theirs = _evaluated(MtebEncoder(model), task()), _evaluated(other, task())
        assert ours == pytest.approx(theirs, abs=1e-5, nan_ok=True), task


@pytest.mark.parametrize("system", ["bm25", "bm25 % 5 >> ance[model=MODEL]", "rrf(bm25, ance[model=MODEL])"])
def test_a_system_in_mteb(beir: Path, tmp_path: Path, system: str) -> None:
    pytest.importorskip("mteb")
    from mteb.mocks.mock_tasks import MockMultilingualRetrievalTask

    encoder().save(tmp_path / "tiny")
    system = system.replace("MODEL", str(tmp_path / "tiny"))
    search = MtebSearch(system, name="mine")
    found, ours = _evaluated(search, _task(beir)), _ours(beir, system)
    assert {"nDCG@10": found["ndcg_at_10"], "R@100": found["recall_at_100"]} == pytest.approx(ours, abs=2e-5)
    assert [scores["recall_at_10"] for scores in _of_subsets(search, MockMultilingualRetrievalTask())] == [1, 1]
    assert search.mteb_model_meta.name == "ance_ir/mine"


def test_a_system_in_mtebs_reranking_tasks(tmp_path: Path) -> None:
    pytest.importorskip("mteb")
    from mteb.mocks.mock_tasks import MockRerankingTask

    model = encoder(normalize=True)
    model.save(tmp_path / "tiny")
    system = f"candidates >> ance[model={tmp_path / 'tiny'}]"
    expected = _evaluated(MtebEncoder(model), MockRerankingTask())
    assert _evaluated(MtebSearch(system), MockRerankingTask()) == pytest.approx(expected, nan_ok=True)
    with pytest.raises(UsageError, match="candidates >>"):
        MtebSearch("bm25").search([{"id": "q", "text": "x"}], top_k=3, top_ranked={"q": ["d"]})


def test_candidates_are_all_that_is_reranked(tmp_path: Path) -> None:
    search = MtebSearch("mine=candidates % 2")
    search.index([{"id": f"d{number}", "text": WORDS[number]} for number in range(5)])
    found = search.search([{"id": "q", "text": "x"}, {"id": "r", "text": "y"}], top_k=3, top_ranked={"q": ["d3", "d1", "d0"]})
    assert {qid: list(scores) for qid, scores in found.items()} == {"q": ["d3", "d1"], "r": []}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"text": "cats"}, "cats"),
        ({"text": "cats", "instruction": "only old ones"}, "cats only old ones"),
        ({"text": ["hello", "cats"], "instruction": "find"}, "find hello; cats"),
        ({"text": [{"role": "user", "content": "cats"}, {"role": "system", "content": "no"}]}, "user: cats; system: no"),
    ],
)
def test_queries_are_joined_as_by_mteb(query: dict[str, Any], text: str) -> None:
    pytest.importorskip("mteb")
    from datasets import Dataset as Rows
    from mteb._create_dataloaders import _retrieval_texts
    from mteb.types import PromptType

    from ance_ir.eval.harness.mteb import _text

    assert _text(query) == text
    assert _retrieval_texts(Rows.from_list([query]), PromptType.query) == [text]


def test_a_system_without_a_corpus_is_refused() -> None:
    with pytest.raises(UsageError, match="index"):
        MtebSearch("bm25").search([{"id": "q", "text": "x"}], top_k=3)


def test_without_the_extra_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    for adapter in (MtebSearch("bm25"), MtebEncoder(encoder())):
        with pytest.raises(MissingDependencyError, match=r"ance_ir\[harness\]"):
            _ = adapter.mteb_model_meta


NFCORPUS = Path(os.environ.get("ANCE_IR_DATA", "")) / "nfcorpus"


@pytest.mark.skipif(not os.environ.get("ANCE_IR_DATA") or not NFCORPUS.exists(), reason="nfcorpus is not there")
def test_nfcorpus_in_beirs_layout(tmp_path: Path) -> None:
    loader = pytest.importorskip("beir.datasets.data_loader")
    pytest.importorskip("mteb")
    from beir.retrieval.evaluation import EvaluateRetrieval

    convert(load_dataset(NFCORPUS), "beir", tmp_path / "nfcorpus", splits=["test"])
    corpus, queries, qrels = loader.GenericDataLoader(str(tmp_path / "nfcorpus")).load(split="test")
    harness = EvaluateRetrieval(BeirSearch("bm25", name="beir/nfcorpus"), k_values=[10, 100])
    ndcg, _, recall, _ = harness.evaluate(qrels, harness.retrieve(corpus, queries), [10, 100])
    found = _evaluated(MtebSearch("bm25"), _task(tmp_path / "nfcorpus"))
    ours = _ours(tmp_path / "nfcorpus", "bm25")
    assert {"nDCG@10": ndcg["NDCG@10"], "R@100": recall["Recall@100"]} == pytest.approx(ours, abs=2e-5)
    assert {"nDCG@10": found["ndcg_at_10"], "R@100": found["recall_at_100"]} == pytest.approx(ours, abs=2e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_an_encoder_answers_as_a_model_of_sentence_transformers(tmp_path: Path, shared: bool) -> None:
    pytest.importorskip("sentence_transformers")
    model = encoder(shared=shared, text={"query_prefix": "query: ", "passage_prefix": "passage: "})
    other = model.as_sentence_transformer()
    assert model.settings.query_length < model.settings.passage_length <= len(model.tokenizer.tokenizer(SENTENCES[-1]).input_ids)
    for name in ("encode", "encode_query", "encode_document"):
        ours, theirs = getattr(model, name), getattr(other, name)
        np.testing.assert_allclose(ours(SENTENCES), theirs(SENTENCES), atol=1e-5)
        np.testing.assert_allclose(ours(SENTENCES[2]), theirs(SENTENCES[2]), atol=1e-5)
        assert ours(SENTENCES[2]).shape == (model.dimension,)
        tensor, expected = ours(SENTENCES, convert_to_tensor=True), theirs(SENTENCES, convert_to_tensor=True)
        assert (type(tensor), tensor.dtype, tensor.shape) == (type(expected), expected.dtype, expected.shape)
        listed = ours(SENTENCES, convert_to_numpy=False)
        assert isinstance(listed, list) and listed[0].shape == (model.dimension,)
        alone, expected = ours(SENTENCES[0], convert_to_numpy=False), theirs(SENTENCES[0], convert_to_numpy=False)
        assert (type(alone), alone.shape) == (type(expected), expected.shape)
        assert ours([]).shape == (0, model.dimension)
        np.testing.assert_allclose(ours(SENTENCES, normalize_embeddings=True), theirs(SENTENCES, normalize_embeddings=True), atol=1e-5)
        np.testing.assert_allclose(ours(SENTENCES, "query", None, 2), theirs(SENTENCES, "query", None, 2), atol=1e-5)
        np.testing.assert_allclose(ours(SENTENCES, prompt="so: "), theirs(SENTENCES, prompt="so: "), atol=1e-5)
        with pytest.raises(UsageError, match="documents"):
            ours(SENTENCES, prompt_name="documents")
    assert np.asarray(other.similarity(model.encode_query(SENTENCES), model.encode_document(SENTENCES))).shape == (6, 6)


@pytest.mark.parametrize("shared", [True, False])
def test_progress_counts_texts(shared: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TQDM_DISABLE")
    model = encoder(shared=shared)
    for encode in (model.encode, model.encode_query, model.encode_document):
        encode(SENTENCES)
        assert capsys.readouterr().err == ""
        encode(SENTENCES, show_progress_bar=True)
        assert "6/6" in capsys.readouterr().err


def test_what_sentence_transformers_cannot_read_is_refused() -> None:
    model: DenseEncoder = encoder(text={"title_pair": True})
    with pytest.raises(UsageError, match="title_pair"):
        model.as_sentence_transformer()
