"""Feedback against the formulas, against pyterrier_dr, and against the tokeniser's own reading of the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir.errors import FingerprintError, ModelError, UsageError
from ance_ir.indexes import AnceIndex, MaxP
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import AncePRF, AveragePRF, RocchioPRF
from tests.tiny import WORDS, Kind, encoder

DOCUMENTS = [
    {"docno": f"d{number}", "text": " ".join(np.random.default_rng(number).choice(WORDS, number % 20 + 1))} for number in range(30)
]
QUERIES = pd.DataFrame({"qid": ["q1", "q9"], "query": ["king queen", "the cat sleeps"], "qsource": ["a", "b"]})


@pytest.fixture(scope="module")
def model() -> DenseEncoder:
    return encoder(head=8)


@pytest.fixture(scope="module")
def passages(model: DenseEncoder, tmp_path_factory: pytest.TempPathFactory) -> AnceIndex:
    index: AnceIndex = (MaxP(8, 3) >> model.passages() >> AnceIndex(tmp_path_factory.mktemp("passages") / "x.ance")).index(DOCUMENTS)
    return index


@pytest.fixture(scope="module")
def rows(model: DenseEncoder, tmp_path_factory: pytest.TempPathFactory) -> AnceIndex:
    """An index in which each document is a row."""
    index: AnceIndex = (model.passages() >> AnceIndex(tmp_path_factory.mktemp("rows") / "x.ance")).index(DOCUMENTS)
    return index


def vectors_of(model: DenseEncoder, docno: str) -> np.ndarray:
    text = next(document["text"] for document in DOCUMENTS if document["docno"] == docno)
    return model.encode_documents([text], MaxP(8, 3))[0]


def best(model: DenseEncoder, query: np.ndarray, docno: str) -> np.ndarray:
    vectors = vectors_of(model, docno)
    found: np.ndarray = vectors[int((vectors @ query).argmax())]
    return found


def results(docnos: list[str], **columns: Any) -> pd.DataFrame:
    """Results of one query, in that order, shuffled."""
    frame = pd.DataFrame({"qid": "q1", "query": "king queen", "docno": docnos, "score": np.arange(len(docnos), 0.0, -1), **columns})
    return frame.sample(frac=1, random_state=1)


def test_the_average(model: DenseEncoder, passages: AnceIndex) -> None:
    query = model.encode_queries(["king queen"])[0]
    found = AveragePRF(passages, 2, model=model)(results(["d19", "d7", "d8"]))
    expected = np.mean([query, best(model, query, "d19"), best(model, query, "d7")], axis=0)
    np.testing.assert_allclose(found["query_vec"].iloc[0], expected, rtol=1e-4, atol=1e-5)
    assert found["query_vec"].iloc[0].dtype == np.float32
    assert len(vectors_of(model, "d19")) > 1


@pytest.mark.parametrize(("count", "last"), [(6, ["d4", "d5"]), (4, ["d2", "d3"]), (3, ["d2"]), (2, []), (1, [])])
def test_rocchio(model: DenseEncoder, passages: AnceIndex, count: int, last: list[str]) -> None:
    query = model.encode_queries(["king queen"])[0]
    docnos = [f"d{number}" for number in range(count)]
    found = RocchioPRF(passages, 2, 0.5, 2.0, bottom=2, gamma=0.25, model=model)(results(docnos))
    expected = 0.5 * query + 2.0 * np.mean([best(model, query, docno) for docno in docnos[:2]], axis=0)
    if last:
        expected -= 0.25 * np.mean([best(model, query, docno) for docno in last], axis=0)
    np.testing.assert_allclose(found["query_vec"].iloc[0], expected, rtol=1e-4, atol=1e-5)


def test_results_that_the_index_does_not_hold_are_passed_over(model: DenseEncoder, passages: AnceIndex) -> None:
    query = model.encode_queries(["king queen"])[0]
    for feedback in (AveragePRF(passages, 2, model=model), RocchioPRF(passages, 2, model=model)):
        among = feedback(results(["new", "d3", "newer", "d4", "d5"]))["query_vec"].iloc[0]
        np.testing.assert_array_equal(among, feedback(results(["d3", "d4"]))["query_vec"].iloc[0])
        unmoved = feedback(results(["new"]))["query_vec"].iloc[0]
        np.testing.assert_allclose(unmoved, query, rtol=1e-5)
        assert unmoved.dtype == np.float32


def test_query_vectors_of_the_frame_are_used(model: DenseEncoder, passages: AnceIndex) -> None:
    vector = model.encode_queries(["red moon"])[0]
    frame = results(["d3", "d4"])
    given = frame.assign(query_vec=[vector] * 2)
    kept = given["query_vec"].iloc[0].copy()
    for kind in (AveragePRF, RocchioPRF):
        found = kind(passages)(given)["query_vec"].iloc[0]
        np.testing.assert_allclose(found, kind(passages, model=model)(frame.assign(query="red moon"))["query_vec"].iloc[0], rtol=1e-5)
    np.testing.assert_array_equal(given["query_vec"].iloc[0], kept)
    double = given.assign(query_vec=[vector.astype(np.float64)] * 2)
    assert RocchioPRF(passages)(double)["query_vec"].iloc[0].dtype == np.float32


def test_between_two_retrievals(model: DenseEncoder, passages: AnceIndex) -> None:
    ance = passages.retriever(model, 10)
    feedback = AveragePRF(passages, 3, model=model)
    found = (ance >> feedback >> ance)(QUERIES)
    assert found["qsource"].tolist() == ["a"] * 10 + ["b"] * 10
    assert found["query"].nunique() == 2
    first = ance(QUERIES)
    for qid, query in zip(QUERIES["qid"], model.encode_queries(QUERIES["query"].to_list()), strict=True):
        docnos = first.loc[first["qid"] == qid, "docno"].head(3)
        moved = np.mean([query, *(best(model, query, docno) for docno in docnos)], axis=0)
        scores = {document["docno"]: float((vectors_of(model, document["docno"]) @ moved).max()) for document in DOCUMENTS}
        results = found[found["qid"] == qid]
        assert results["score"].tolist() == pytest.approx(sorted(scores.values(), reverse=True)[:10], rel=1e-4)
        assert results["score"].tolist() == pytest.approx([scores[docno] for docno in results["docno"]], rel=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [1, 3, 10])
def test_as_pyterrier_dr_computes_it(model: DenseEncoder, rows: AnceIndex, count: int) -> None:
    theirs = pytest.importorskip("pyterrier_dr")
    found = (model.queries() >> rows.retriever(model, count))(QUERIES)
    with_vectors = found.assign(doc_vec=[rows.store.get(rows.numbers([docno]))[0] for docno in found["docno"]])
    pairs = [
        (AveragePRF(rows, 3), theirs.AveragePrf(k=3)),
        (RocchioPRF(rows, 5, 0.4, 0.6), theirs.VectorPrf(alpha=0.4, beta=0.6, k=5)),
    ]
    for ours, other in pairs:
        expected = other(with_vectors).set_index("qid")["query_vec"]
        for qid, vector in ours(found).set_index("qid")["query_vec"].items():
            np.testing.assert_allclose(vector, expected[qid], rtol=1e-5, atol=1e-6)


def test_the_indexs_own_model_encodes_where_none_is_named(tmp_path: Path) -> None:
    encoder(head=8).save(tmp_path / "model")
    model = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu")
    index = (model.passages() >> AnceIndex(tmp_path / "x.ance")).index(DOCUMENTS)
    frame = results(["d3", "d4"])
    found = AveragePRF(index, 3)(frame)["query_vec"].iloc[0]
    np.testing.assert_allclose(found, AveragePRF(index, 3, model=model)(frame)["query_vec"].iloc[0], rtol=1e-5)


def test_a_model_that_is_not_the_indexs_or_cannot_be_found(model: DenseEncoder, passages: AnceIndex) -> None:
    for kind in (AveragePRF, RocchioPRF):
        with pytest.raises(FingerprintError, match="was built with tiny"):
            kind(passages, model=encoder(head=8, seed=9))
        with pytest.raises(ModelError, match="no model 'tiny'"):
            kind(passages)(results(["d3"]))


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("length", [12, 64])
def test_ance_prf_reads_the_text_as_published(kind: Kind, length: int) -> None:
    model = encoder(kind, pooling="cls", head=8, text={"lower_case": True})
    texts = ["The Cat sleeps", "a DOG runs and a bird sings", "unread"]
    found = AncePRF(model, 2, length=length)(results(["d1", "d2", "d3"], text=texts).assign(query="King of what?"))
    tokenizer = model.tokenizer.tokenizer
    read = tokenizer.cls_token + "".join(text + tokenizer.sep_token for text in ("king of what?", "the cat sleeps", texts[1].lower()))
    ids = tokenizer(read, add_special_tokens=False, truncation=True, max_length=length, return_tensors="pt")
    assert ids["input_ids"].shape[1] <= length
    expected = model.query_tower(ids["input_ids"], ids["attention_mask"])[0].detach().numpy()
    np.testing.assert_allclose(found["query_vec"].iloc[0], expected, rtol=1e-4, atol=1e-5)


def test_ance_prf_of_several_queries_and_few_texts() -> None:
    model = encoder(head=8)
    feedback = AncePRF(model, 3, length=64)
    one = results(["d1"], text=["the cat"])
    two = results(["d1", "d2"], text=["red moon", ""]).assign(qid="q2", query="dog")
    found = feedback(pd.concat([one, two]))
    assert found["qid"].tolist() == ["q1", "q2"]
    for number, frame in enumerate((one, two)):
        np.testing.assert_allclose(found["query_vec"].iloc[number], feedback(frame)["query_vec"].iloc[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match="query q1 must be a string, found"):
        feedback(one.assign(query=pd.Series([None], dtype=object, index=one.index)))


def test_arguments_that_cannot_be_meant(model: DenseEncoder, passages: AnceIndex) -> None:
    for kind in (AveragePRF, RocchioPRF):
        with pytest.raises(UsageError, match="depth"):
            kind(passages, 0)
    with pytest.raises(UsageError, match="bottom"):
        RocchioPRF(passages, bottom=-1)
    with pytest.raises(UsageError, match=r"512.* 64 tokens"):
        AncePRF(model)
