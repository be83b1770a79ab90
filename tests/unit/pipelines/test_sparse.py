"""Learned sparse retrieval: scores next to dot products by sentence-transformers, ties, interruptions, systems from text."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import (
    AnceError,
    DamagedIndexError,
    DeviceMemoryError,
    FingerprintError,
    IndexingError,
    MissingDependencyError,
    ModelError,
    UsageError,
)
from ance_ir.models import SparseEncoder
from ance_ir.pipelines import SparseIndex, SparseRetriever, Systems, dataset_bm25, dataset_sparse
from ance_ir.pipelines.fingerprint import fingerprint
from ance_ir.pipelines.fusion import ReciprocalRankFusion
from ance_ir.pipelines.sparse import parts, retriever
from ance_ir.pipelines.systems import check_serves_several
from ance_ir.pipelines.systems.parser import parse
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.sets import TrainingSets
from tests.device_memory import fitting
from tests.tiny import WORDS, ByWords, encoder

pytest.importorskip("pyterrier_pisa", reason="PISA is not installed")
pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
library_models = pytest.importorskip("tests.library_models")

RANDOM = np.random.default_rng(0)
DOCUMENTS = [
    {"docno": f"d{number:02d}", "title": WORDS[number], "text": " ".join(RANDOM.choice(WORDS, number % 12))} for number in range(40)
]
QUERIES = pd.DataFrame({"qid": ["q2", "q1", "q3"], "query": ["king queen river", "the cat", "dense retrieval of what"]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library_models.write_splade(tmp_path_factory.mktemp("models") / "splade")


@pytest.fixture(scope="module")
def model(folder: Path) -> SparseEncoder:
    return SparseEncoder.from_pretrained(folder, device="cpu")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    return load_dataset(tmp_path / "c")


@pytest.mark.parametrize("bits", [8, 3])
def test_scores_are_the_dot_products_of_the_quantised_vectors(
    bits: int, folder: Path, model: SparseEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentence_transformers import SparseEncoder as Library

    monkeypatch.setattr(parts, "PART", 7)
    monkeypatch.setattr(retriever, "_QUERIES", 2)
    index = SparseIndex(tmp_path / "x.splade", model, bits=bits).index(iter(DOCUMENTS))
    library = Library(str(folder), device="cpu")
    texts = [f"{document['title']} {document['text']}".strip() for document in DOCUMENTS]
    documents = library.encode_document(texts, convert_to_sparse_tensor=False).numpy().astype(np.float64)
    queries = library.encode_query(QUERIES["query"].tolist(), convert_to_sparse_tensor=False).numpy().astype(np.float64)
    steps = documents.max() / (2**bits - 1), queries.max(axis=1) / 255
    of_documents = np.rint(documents / steps[0])
    of_queries = np.rint(queries / steps[1][:, None])
    exact = of_queries @ of_documents.T
    found = index.retriever(100)(QUERIES)
    docnos = np.array([document["docno"] for document in DOCUMENTS])
    for row, qid in enumerate(QUERIES["qid"]):
        order = np.lexsort((np.argsort(np.argsort(docnos))[::-1], -exact[row]))
        expected = [docnos[place] for place in order if exact[row, place] > 0]
        of_query = found[found["qid"] == qid]
        assert of_query["docno"].tolist() == expected
        np.testing.assert_allclose(of_query["score"] / (steps[0] * steps[1][row]), exact[row][order][: len(expected)], rtol=1e-5)
    assert index.manifest["postings"] == np.count_nonzero(of_documents)
    assert 0 < np.count_nonzero(of_documents) < 0.5 * of_documents.size, "the vectors are sparse"
    if bits == 8:
        np.testing.assert_allclose(exact * steps[0] * steps[1][:, None], queries @ documents.T, rtol=0.05, atol=0.2)


def test_ties_empty_texts_and_more_results_than_documents(tmp_path: Path) -> None:
    texts = {"b": "king", "a": "king", "c": "king king", "e": "", "d": "king", "f": "queen"}
    index = SparseIndex(tmp_path / "x", ByWords()).index({"docno": docno, "text": text} for docno, text in texts.items())
    queries = pd.DataFrame({"qid": ["1", "2", "3", "4"], "query": ["king", "", "nothing known", "queen"]})
    found = index.retriever(10)(queries)
    assert found[["qid", "docno", "rank"]].to_numpy().tolist() == [
        ["1", "c", 0],
        ["1", "d", 1],
        ["1", "b", 2],
        ["1", "a", 3],
        ["4", "f", 0],
    ]
    assert found["score"].tolist() == pytest.approx([2, 1, 1, 1, 1], rel=0.01)
    assert (index.retriever() % 2)(queries)["docno"].tolist() == ["c", "d", "f"]
    assert index.retriever()(queries[1:3]).empty
    assert len(index) == 6


def test_a_score_beyond_the_whole_numbers_of_float32_cannot_be() -> None:
    from ance_ir.pipelines.sparse.impacts import Quantisation

    weights = csr_array(np.linspace(1, 2, 5000, dtype=np.float32)[None])
    impacts, steps = Quantisation(bits=8, largest=1.0).of_queries(weights)
    assert impacts.sum() * 255 < 1 << 24
    np.testing.assert_allclose(impacts.toarray() * steps, weights.toarray(), atol=float(steps[0]))


@pytest.mark.parametrize(("name", "left"), [("by words", len(DOCUMENTS) - 32), ("another", len(DOCUMENTS))])
def test_an_interrupted_build_goes_on(name: str, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 16)
    whole = SparseIndex(tmp_path / "whole", ByWords(name)).index(iter(DOCUMENTS))

    def broken() -> object:
        yield from DOCUMENTS[:35]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SparseIndex(tmp_path / "x", ByWords()).index(broken())  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()
    again = ByWords(name)
    index = SparseIndex(tmp_path / "x", again).index(iter(DOCUMENTS))
    assert len(again.encoded) == left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole", "x"]
    pd.testing.assert_frame_equal(index.retriever()(QUERIES), whole.retriever()(QUERIES))
    assert index.fingerprint == whole.fingerprint


def test_another_model_is_refused(tmp_path: Path) -> None:
    SparseIndex(tmp_path / "x", ByWords()).index(iter(DOCUMENTS))
    with pytest.raises(FingerprintError, match="another"):
        SparseIndex(tmp_path / "x", ByWords("another")).retriever()(QUERIES)
    with pytest.raises(ModelError, match="by words"):
        SparseIndex(tmp_path / "x").retriever()(QUERIES)


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="no complete"):
        SparseIndex(tmp_path / "x").retriever()
    with pytest.raises(UsageError, match="model"):
        SparseIndex(tmp_path / "x").index(iter(DOCUMENTS))
    with pytest.raises(IndexingError, match="nothing to index"):
        SparseIndex(tmp_path / "x", ByWords()).index([{"docno": "1", "text": ""}])
    with pytest.raises(AnceError, match="d00"):
        SparseIndex(tmp_path / "x", ByWords()).index([DOCUMENTS[0], DOCUMENTS[0]])
    with pytest.raises(UsageError, match="9"):
        SparseIndex(tmp_path / "x", bits=9)
    index = SparseIndex(tmp_path / "x", ByWords()).index(iter(DOCUMENTS))
    with pytest.raises(IndexingError, match="already"):
        index.index(iter(DOCUMENTS))
    SparseIndex(tmp_path / "x", ByWords(), overwrite=True).index(iter(DOCUMENTS[:5]))
    assert len(SparseIndex(tmp_path / "x")) == 5
    (tmp_path / "x" / "manifest.json").write_text("{}")
    with pytest.raises(DamagedIndexError):
        SparseIndex(tmp_path / "x").retriever()


def test_without_pisa_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyterrier_pisa", None)
    with pytest.raises(MissingDependencyError, match="x86-64"):
        SparseIndex(tmp_path / "x")


def test_what_is_no_sparse_encoder_is_refused(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder().save(tmp_path / "dense")
    with pytest.raises(ModelError, match="dense"):
        SparseEncoder.from_pretrained(tmp_path / "dense", device="cpu")
    with caplog.at_level(logging.WARNING):
        masked = SparseEncoder.from_pretrained(folder.with_name("splade-masked"), device="cpu")
        assert not caplog.records
        folder.with_name("splade-masked").rename(tmp_path / "bert")
        SparseEncoder.from_pretrained(tmp_path / "bert", device="cpu")
        assert "bert" in caplog.text
    given = SparseEncoder.from_pretrained(folder, device="cpu")
    assert given.fingerprint() != library_models_other(tmp_path).fingerprint()
    assert (masked.encode_queries(["king"]) != given.encode_queries(["king"])).nnz == 0
    before = given.fingerprint()
    given.encode_documents(["king queen " * 40, "cat"])
    again = SparseEncoder(copy.deepcopy(given.model), "again")  # whose fingerprint nobody has kept
    assert again.fingerprint() == before == SparseEncoder.from_pretrained(folder, device="cpu").fingerprint()


def test_the_fingerprint_of_two_routes_follows_each_of_them(tmp_path: Path) -> None:
    library_models.write_two_routes(tmp_path / "routes")
    model = SparseEncoder.from_pretrained(tmp_path / "routes", device="cpu")
    before = model.fingerprint()
    model.encode_documents(["king queen"])  # of which the library learns the dimension
    assert model.fingerprint() == before
    model.model[0].sub_modules["document"][0].max_seq_length = 17
    assert model.fingerprint() != before


def library_models_other(folder: Path) -> SparseEncoder:
    return SparseEncoder.from_pretrained(library_models.write_splade(folder / "other-splade", seed=1), device="cpu")


def test_systems_from_text(dataset: Dataset, folder: Path, model: SparseEncoder, tmp_path: Path) -> None:
    systems = Systems(dataset, num_results=5, device="cpu")
    _, pipeline = systems.parse(f"splade[model={folder}]")
    assert isinstance(pipeline, SparseRetriever)
    index = SparseIndex(tmp_path / "x.splade", model).index(iter(DOCUMENTS))
    expected = index.retriever(5)(QUERIES)
    pd.testing.assert_frame_equal(pipeline(QUERIES), expected)
    _, of_folder = systems.parse(str(tmp_path / "x.splade"))
    pd.testing.assert_frame_equal(of_folder(QUERIES), expected)
    assert fingerprint(of_folder) is not None
    others = {
        "documents": SparseIndex(tmp_path / "documents", model).index(iter(DOCUMENTS[1:])),
        "model": SparseIndex(tmp_path / "model", library_models_other(tmp_path)).index(iter(DOCUMENTS)),
        "bits": SparseIndex(tmp_path / "bits", model, bits=4).index(iter(DOCUMENTS)),
    }
    assert len({fingerprint(one) for one in (of_folder, *(other.retriever(5) for other in others.values()))}) == 4
    _, fused = systems.parse(f"rrf(splade[model={folder}; bits=8], bm25)")
    both = ReciprocalRankFusion(pipeline, dataset_bm25(dataset).retriever(5), num_results=5)
    pd.testing.assert_frame_equal(fused(QUERIES), both(QUERIES))
    for text in (f"bm25 >> splade[model={folder}]", str(folder), f"{tmp_path / 'x.splade'}[bits=4]", f"splade[model={folder}; bits=9]"):
        with pytest.raises(UsageError):
            systems.parse(text)
    with pytest.raises(UsageError, match=rf"splade\[model={folder}\]"):
        check_serves_several(parse(str(tmp_path / "x.splade")))


def test_negatives_come_from_it(folder: Path, model: SparseEncoder, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    (tmp_path / "queries.train.tsv").write_text("q1\tking queen river\nq2\tthe cat\n")
    (tmp_path / "qrels.train.txt").write_text("q1 0 d01 1\nq2 0 d02 1\n")
    dataset = load_dataset(tmp_path)
    named = NamedNegatives(TrainingSets.open([dataset], ["train"]), depth=4, device="cpu")
    drawn = named.make(f"splade[model={folder}]").draw(np.arange(2), 4, np.random.default_rng(0))
    found = dataset_sparse(dataset, model).retriever(5)(dataset.queries("train"))
    for row, (qid, positive) in enumerate((("q1", "d01"), ("q2", "d02"))):
        ranked = [docno for docno in found["docno"][found["qid"] == qid] if docno != positive][:4]
        assert sorted(dataset.store().docnos(drawn[row])) == sorted(ranked)


def test_the_index_of_a_dataset_is_built_once(dataset: Dataset) -> None:
    model = ByWords()
    told: list[tuple[int, int]] = []
    first = dataset_sparse(dataset, model, told=lambda done, total: told.append((done, total)))
    assert dataset_sparse(dataset, model).folder == first.folder
    assert len(model.encoded) == len(DOCUMENTS)
    assert told[-1] == (40, 40)
    assert dataset_sparse(dataset, model, bits=4).folder != first.folder


def test_texts_that_do_not_fit_are_encoded_in_smaller_batches(
    model: SparseEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = model.encode_documents(WORDS)
    monkeypatch.setattr(model.model, "encode_document", fitting(model.model.encode_document, 20))
    found = model.encode_documents(WORDS)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-6)
    assert "16" in caplog.text
    monkeypatch.setattr(model.model, "encode_query", fitting(model.model.encode_query, 2))
    with pytest.raises(DeviceMemoryError, match="16 texts"):
        model.encode_queries(WORDS)
