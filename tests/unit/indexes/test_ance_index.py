from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
import torch

from ance_ir.errors import (
    AnceError,
    DamagedIndexError,
    DatasetError,
    DocumentNotFoundError,
    FingerprintError,
    IndexingError,
    ModelError,
    UsageError,
)
from ance_ir.indexes import AnceIndex, FirstP, MaxP, SlidingWindow
from ance_ir.indexes.store.vectors import VectorType
from ance_ir.models import DenseEncoder, Encoding, PassageScheme, TextSettings
from tests.tiny import WORDS, encoder

Row = dict[str, Any]

DOCUMENTS = [
    {"docno": "d1", "title": "the cat", "text": "cat " * 30},
    {"docno": "a#b", "text": "dog"},
    {"docno": "a#b#0", "text": " ".join(WORDS)},
    {"docno": "größe/日本/\U0001f600", "text": ""},
    {"docno": "#", "text": "red moon"},
    {"docno": "10", "text": "king queen"},
    {"docno": "9", "text": "king queen"},
]


@pytest.fixture(scope="module")
def model() -> DenseEncoder:
    return encoder(head=8)


def stream(documents: list[dict[str, Any]] = DOCUMENTS) -> Iterator[dict[str, Any]]:
    """A generator: it can be read once, and knows no length."""
    yield from documents


def build(path: Path, model: DenseEncoder, scheme: PassageScheme | None = None, **options: Any) -> AnceIndex:
    scheme = scheme or MaxP(8, 3)
    index: AnceIndex = (scheme >> model.passages() >> AnceIndex(path, **options)).index(stream())  # type: ignore[operator]
    return index


def rows(*docnos: str, dimension: int = 3, encoding: Encoding | None = None) -> list[Row]:
    vectors = np.random.default_rng(0).normal(size=(len(docnos), dimension)).astype(np.float32)
    made: list[Row] = [{"docno": docno, "doc_vec": vector} for docno, vector in zip(docnos, vectors, strict=True)]
    return [{**row, "encoding": encoding} for row in made] if encoding else made


PASSAGES = Encoding(model="m", fingerprint="f", similarity="dot", passages="MaxP(8, 3)", precision="float32", text=TextSettings())


@pytest.mark.parametrize("scheme", [FirstP(8), FirstP(), MaxP(8, 3), SlidingWindow(8, 4)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_pipeline_indexes_documents(tmp_path: Path, model: DenseEncoder, scheme: PassageScheme, dtype: VectorType) -> None:
    index = build(tmp_path / "x.ance", model, scheme, dtype=dtype)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.ance"]
    texts = [model.settings.join(document) for document in DOCUMENTS]
    vectors, counts = model.encode_documents(texts, scheme)
    manifest = json.loads((tmp_path / "x.ance" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == json.loads(json.dumps(index.manifest))
    assert TextSettings.from_json(manifest["encoding"].pop("text")) == model.settings
    assert manifest["encoding"] == {
        "model": "tiny",
        "fingerprint": model.fingerprint(),
        "passage_fingerprint": model.fingerprints()[1],
        "similarity": "dot",
        "passages": str(scheme),
        "precision": "float32",
        "pooling": "mean",
    }
    expected = {
        "format": 2,
        "documents": 7,
        "vectors": int(counts.sum()),
        "dimension": 8,
        "dtype": dtype,
        "most_passages": int(counts.max()),
    }
    assert {key: manifest[key] for key in expected} == expected
    assert len(index) == 7
    index.verify()
    np.testing.assert_allclose(index.vectors.get(np.arange(len(vectors))), vectors, atol=1e-5 if dtype == "float32" else 5e-3)

    docnos = [document["docno"] for document in DOCUMENTS]
    assert index.docnos(np.arange(7)).tolist() == docnos
    assert index.numbers(docnos).tolist() == list(range(7))
    assert index.numbers(["d", "a", "a#b#1", "01", ""]).tolist() == [-1] * 5

    queries = model.encode_queries(["king queen", "the cat", "moon"])
    stored = vectors.astype(dtype).astype(np.float64)
    best = np.maximum.reduceat((queries.astype(np.float64)[:, None] * stored).sum(-1), np.cumsum(counts) - counts, axis=1)
    scores, documents = index.search_vectors(queries, 100)
    assert scores.shape == (3, 7)
    np.testing.assert_allclose(scores, np.take_along_axis(best, documents, 1), atol=2e-2 if dtype == "float16" else 1e-4)
    names = np.array(docnos)
    for query in range(3):
        order = sorted(range(7), key=lambda i: (np.float32(best[query, i]), names[i].encode()), reverse=True)
        if dtype == "float32":
            assert documents[query].tolist() == order
    asked, pairs = np.array([0, 0, 1, 2, 2, 1, 0]), np.array([3, 2, 0, 2, 6, 2, 1])
    found = index.document_scores(queries[asked], pairs)
    np.testing.assert_allclose(found, best[asked, pairs], atol=1e-4 if dtype == "float32" else 2e-2)
    assert index.document_scores(queries[:0], pairs[:0]).shape == (0,)


@pytest.mark.parametrize("scheme", [FirstP(8), MaxP(8, 3)], ids=repr)
def test_vectors_of_the_passages_of_a_document(tmp_path: Path, model: DenseEncoder, scheme: PassageScheme) -> None:
    index = build(tmp_path / "x.ance", model, scheme)
    for document in DOCUMENTS:
        expected, _ = model.encode_documents([model.settings.join(document)], scheme)
        np.testing.assert_allclose(index.passage_vectors(document["docno"]), expected, atol=1e-5)
    index.delete(["9"])
    for docno in ("9", "d"):
        with pytest.raises(DocumentNotFoundError, match=f"x.ance does not hold the document '{docno}'"):
            index.passage_vectors(docno)


def test_equal_documents_are_ordered_by_docno(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "x", model)
    for backend in ("exact", "flat", "hnsw", "sq8"):
        _, documents = index.search_vectors(model.encode_queries(["king queen", "cat"]), 7, index.searcher(backend))
        for ranking in documents:
            found = index.docnos(ranking).tolist()
            assert found.index("9") + 1 == found.index("10")


@pytest.mark.parametrize("count", [1, 4096, 4097])
def test_rows_without_a_model(tmp_path: Path, count: int) -> None:
    given = rows(*(f"d{number}" for number in range(count)))
    index = AnceIndex(tmp_path / "x").index(iter(given))
    assert (len(index), index.manifest["encoding"], index.manifest["most_passages"]) == (count, None, 0)
    _, documents = index.search_vectors(np.eye(3, dtype=np.float32), count + 5)
    assert documents.shape == (3, count)
    assert sorted(documents[0].tolist()) == list(range(count))


FAILURES: dict[str, tuple[Callable[[], Any], type[BaseException], str]] = {
    "nothing": (lambda: iter([]), IndexingError, "there was no document to index"),
    "a docno twice": (lambda: rows("a", "b", "a"), DatasetError, "the docno 'a' occurs more than once"),
    "a docno twice in a row": (lambda: rows("a", "a"), DatasetError, "the docno 'a' occurs more than once"),
    "a document twice": (
        lambda: rows("a#0", "a#1", "b#0", "a#0", encoding=PASSAGES),
        DatasetError,
        "the docno 'a' occurs more than once",
    ),
    "a document twice in a row": (
        lambda: rows("a#0", "a#1", "a#0", "a#1", encoding=PASSAGES),
        DatasetError,
        "the docno 'a' occurs more than once",
    ),
    "an empty docno": (lambda: rows("a", ""), IndexingError, "row 2: .*''"),
    "a docno with a space": (lambda: rows("a", "b", "c d"), IndexingError, "row 3: .*'c d'"),
    "a docno with a line end": (lambda: rows("a\nb"), IndexingError, "row 1: "),
    "no docno": (lambda: rows("a", None), IndexingError, "row 2: .*None"),  # type: ignore[arg-type]
    "a passage without a number": (lambda: rows("a#0", "b", encoding=PASSAGES), IndexingError, "row 2: a docno was expected, found 'b'"),
    "two models": (
        lambda: [*rows("a#0", encoding=PASSAGES), *rows("b#0", encoding=Encoding(**{**vars(PASSAGES), "fingerprint": "g"}))],
        IndexingError,
        "row 'b#0' was encoded by .*'g'.*, those before it by .*'f'",
    ),
    "some without a model": (lambda: [*rows("a"), *rows("b", encoding=PASSAGES)], IndexingError, "those before it by None"),
    "another model after many": (
        lambda: [*rows(*map(str, range(4096))), *rows("x", encoding=PASSAGES)],
        IndexingError,
        "those before it by None",
    ),
    "two dimensions": (lambda: [*rows("a"), *rows("b", dimension=4)], IndexingError, "vectors of 3 and 4 dimensions"),
    "another dimension after many": (
        lambda: [*rows(*map(str, range(4096))), *rows("x", dimension=4)],
        IndexingError,
        "vectors of 4 dimensions after vectors of 3",
    ),
    "not a number": (lambda: [{"docno": "a", "doc_vec": np.array([1, np.nan])}], IndexingError, "not a number"),
}


def failing() -> Iterator[Row]:
    yield from rows(*map(str, range(5000)))
    raise KeyboardInterrupt("stopped")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("failure", [*FAILURES, "a stream that ends early"])
def test_what_cannot_be_indexed_leaves_nothing_behind(tmp_path: Path, failure: str, old: bool) -> None:
    if old:
        AnceIndex(tmp_path / "x").index(rows("old"))
    make, error, message = FAILURES.get(failure, (failing, KeyboardInterrupt, "stopped"))
    with pytest.raises(error, match=message):
        AnceIndex(tmp_path / "x", overwrite=old).index(make())
    assert [entry.name for entry in tmp_path.iterdir()] == (["x"] if old else [])
    if old:
        assert AnceIndex(tmp_path / "x").docnos(np.array([0])).tolist() == ["old"]


def test_documents_that_fail_leave_nothing_behind(tmp_path: Path, model: DenseEncoder) -> None:
    def broken() -> Iterator[dict[str, str]]:
        yield from DOCUMENTS  # type: ignore[misc]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        (FirstP() >> model.passages() >> AnceIndex(tmp_path / "x")).index(broken())
    assert list(tmp_path.iterdir()) == []


def test_an_index_is_not_overwritten_unasked(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "x", model)
    index.searcher("flat")
    with pytest.raises(IndexingError, match="overwrite=True"):
        build(tmp_path / "x", model)
    again = AnceIndex(tmp_path / "x", overwrite=True)
    assert len(again) == 7
    again.index(rows("new"))
    assert (len(again), again.docnos(np.array([0])).tolist(), again.numbers(["new", "d1"]).tolist()) == (1, ["new"], [0, -1])
    assert again.search_vectors(np.ones((1, 3), dtype=np.float32), 5)[1].tolist() == [[0]]
    assert not (tmp_path / "x" / "faiss-00000").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"x")
    for path in (tmp_path / "photos", tmp_path / "photos" / "1.jpg"):
        with pytest.raises(UsageError, match=r"holds something else .*, which would be lost"):
            AnceIndex(path).index(rows("a"))
    assert (tmp_path / "photos" / "1.jpg").read_bytes() == b"x"
    (tmp_path / "empty").mkdir()
    assert len(AnceIndex(tmp_path / "empty").index(rows("a"))) == 1


@pytest.mark.parametrize("aggregation", ["max", "mean", "sum:1", "sum:2", "first"])
@pytest.mark.parametrize("deleted", [[], ["d1", "9"]])
def test_retriever_and_scorer_agree_on_any_aggregation(tmp_path: Path, model: DenseEncoder, aggregation: str, deleted: list[str]) -> None:
    index = build(tmp_path / "x", model)
    index.delete(deleted)
    there = [document for document in DOCUMENTS if document["docno"] not in deleted]
    vectors, counts = model.encode_documents([model.settings.join(document) for document in there], MaxP(8, 3))
    assert counts.max() == 3
    queries = pd.DataFrame({"qid": ["1", "2", "3"], "query": ["king queen", "the cat", "moon"]})
    products = model.encode_queries(queries["query"].to_list()).astype(np.float64) @ vectors.astype(np.float64).T
    expected = {}
    for qid, scores in zip(queries["qid"], products, strict=True):
        for document, passages in zip(there, np.split(scores, np.cumsum(counts)[:-1]), strict=True):
            best = sorted(passages, reverse=True)
            ways = {"max": best[0], "mean": passages.mean(), "sum:1": best[0], "sum:2": sum(best[:2]), "first": passages[0]}
            expected[qid, document["docno"]] = ways[aggregation]
    for number in (2, 100):
        results = index.retriever(model, number, aggregation=aggregation)(queries)
        assert len(results) == 3 * min(number, len(there))
        for row in results.itertuples():
            assert row.score == pytest.approx(expected[row.qid, row.docno], abs=1e-4)
        if number == 100:
            assert set(zip(results["qid"], results["docno"], strict=True)) == set(expected)
        scored = index.scorer(model, aggregation=aggregation)(results.sample(frac=1, random_state=0).drop(columns=["score", "rank"]))
        scored = scored.sort_values(["qid", "rank"])
        assert scored["docno"].tolist() == results["docno"].tolist()
        np.testing.assert_allclose(scored["score"], results["score"], rtol=1e-6)


def test_texts_that_an_index_lacks_are_aggregated_alike(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "x", model)
    queries = pd.DataFrame({"qid": "1", "query": "the cat", "docno": ["a#b#0", "unknown"], "text": " ".join(WORDS)})
    for aggregation in ("max", "mean", "sum:2", "first"):
        scores = index.scorer(model, aggregation=aggregation)(queries)["score"].to_numpy()
        assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_an_unknown_aggregation_is_refused(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "x", model)
    for make in (index.retriever, index.scorer):
        with pytest.raises(UsageError, match=r"'median'.*max, mean, first, sum:N"):
            make(model, aggregation="median")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "no manifest.json"),
    "broken manifest": (lambda folder: (folder / "manifest.json").write_text("{", encoding="utf-8"), "manifest.json: expected JSON"),
    "other format": (
        lambda folder: (folder / "manifest.json").write_text('{"format": 3}', encoding="utf-8"),
        "format 2",
    ),
    "missing shard": (lambda folder: (folder / "vectors-00000.npy").unlink(), "vectors-00000.npy: the shard cannot be read"),
    "missing order": (lambda folder: (folder / "tie_order.npy").unlink(), r"tie_order\.npy"),
    "broken offsets": (lambda folder: (folder / "offsets.npy").write_bytes(b"no"), r"offsets\.npy"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_refused(tmp_path: Path, model: DenseEncoder, damage: str) -> None:
    build(tmp_path / "x", model)
    spoil, message = DAMAGES[damage]
    spoil(tmp_path / "x")
    index = AnceIndex(tmp_path / "x")
    with pytest.raises(DamagedIndexError, match=message):
        index.search_vectors(np.ones((1, 8), dtype=np.float32), 3)


@pytest.mark.parametrize("file", ["vectors-00000.npy", "tie_order.npy", "offsets.npy", "docnos/docnos.bin", "docnos/docno_order.npy"])
def test_an_altered_file_is_found_by_its_checksum(tmp_path: Path, model: DenseEncoder, file: str) -> None:
    index = build(tmp_path / "x", model)
    index.verify()
    path = tmp_path / "x" / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedIndexError, match=f"checksums.*{file}"):
        index.verify()
    if file == "vectors-00000.npy":
        path.unlink()
        with pytest.raises(DamagedIndexError, match=file):
            index.verify()


def test_an_index_of_the_first_format_is_read(tmp_path: Path, model: DenseEncoder) -> None:
    """It has no checksums but of shards, and no updates."""
    expected = build(tmp_path / "x", model)
    manifest = {**expected.manifest, "format": 1}
    del manifest["checksums"]
    (tmp_path / "x" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    index = AnceIndex(tmp_path / "x")
    index.verify()
    queries = model.encode_queries(["king queen"])
    for one, other in zip(index.search_vectors(queries, 7), expected.search_vectors(queries, 7), strict=True):
        np.testing.assert_array_equal(one, other)
    index.delete(["9"])
    assert (len(index), index.manifest["format"]) == (6, 2)


def test_a_missing_index_names_what_to_do(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x")
    assert not index.built()
    with pytest.raises(IndexingError, match="`ance-ir index`"):
        len(index)


def test_searches_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(rows("a", "b"))
    with pytest.raises(UsageError, match=r"k .*1.*0"):
        index.search_vectors(np.ones((1, 3), dtype=np.float32), 0)
    with pytest.raises(IndexingError, match="vectors of 3 dimensions, the queries have 4"):
        index.search_vectors(np.ones((1, 4), dtype=np.float32), 1)
    with pytest.raises(UsageError, match=r"'annoy'.*exact, tuned.*flat"):
        index.searcher("annoy")
    with pytest.raises(UsageError, match=r"'int8'.*float16, float32"):
        AnceIndex(tmp_path / "y", dtype="int8").index(rows("a"))  # type: ignore[arg-type]


def test_query_vectors_that_cannot_be_searched_are_refused(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(rows("a", "b"))
    for value in (np.nan, np.inf):
        queries = np.full((2, 3), value, dtype=np.float32)
        with pytest.raises(UsageError, match="2 of 2"):
            index.search_vectors(queries, 1)
        with pytest.raises(UsageError, match="2 of 2"):
            index.document_scores(queries, np.array([0, 1]))
    for value in (np.ones(3), [[1.0, 1.0, 1.0]]):
        with pytest.raises(IndexingError, match=r"\[Q, 3\]"):
            index.search_vectors(value, 1)  # type: ignore[arg-type]


def test_vectors_of_any_kind_of_number_are_indexed(tmp_path: Path) -> None:
    given: dict[str, Any] = {"list": [1.0, 2.0], "ints": np.array([1, 2]), "float64": np.array([1.0, 2.0])}
    given["bfloat16"] = torch.tensor([1, 2], dtype=torch.bfloat16)
    index = AnceIndex(tmp_path / "x").index([{"docno": docno, "doc_vec": vector} for docno, vector in given.items()])
    for docno in given:
        np.testing.assert_array_equal(index.passage_vectors(docno), [[1, 2]])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"docno": "bad", "doc_vec": np.array([1, np.nan, 1])}, r"'bad'.*1 of 3"),
        ({"docno": "bad", "doc_vec": np.full(3, 1e30)}, r"'bad'.*1 of 3"),
        ({"docno": "bad", "doc_vec": np.ones(3, dtype=complex)}, r"'bad'.*numbers"),
        ({"docno": "bad", "doc_vec": "abc"}, "'bad'.*'abc'"),
        ({"docno": "bad", "doc_vec": None}, "'bad'.*None"),
        ({"docno": "bad", "doc_vec": np.ones((3, 3))}, r"'bad'.*numbers"),
        ({"docno": "bad", "doc_vec": np.ones(4)}, "3 and 4 dimensions.*'bad'"),
        ({"docno": "bad", "text": "cat"}, "'bad' .*docno, text.*passages"),
        (["bad", 1], r"\['bad', 1\]"),
    ],
    ids=["nan", "no length", "complex", "text", "none", "two axes", "dimensions", "no vector", "no row"],
)
def test_rows_that_are_none_are_refused(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(IndexingError, match=said):
        AnceIndex(tmp_path / "x").index([*rows("a", "b"), row])
    assert not list(tmp_path.iterdir())
    index = AnceIndex(tmp_path / "y").index(rows("a"))
    with pytest.raises(IndexingError, match="bad"):
        index.add([row])
    assert len(index) == 1


def test_whole_numbers_are_docnos_wherever_they_are_named(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index([{**row, "docno": number} for number, row in enumerate(rows("a", "b"))])
    assert index.delete([1]) == 1 and index.docnos(np.arange(1)).tolist() == ["0"]
    with pytest.raises(UsageError, match="None"):
        index.delete([None])  # type: ignore[list-item]


def test_another_model_is_refused(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "x", model)
    index.check_model(model)
    with pytest.raises(
        FingerprintError, match=r"was built with tiny \(\w{12}\), not with tiny \(\w{12}\); use the same model .* check=False"
    ):
        index.check_model(encoder(head=8, seed=3))
    with pytest.raises(FingerprintError, match="check=False"):
        index.check_model(model.with_settings(query_length=9))
    with pytest.raises(FingerprintError, match="vectors of 8 dimensions, tiny makes 32"):
        index.check_model(encoder())
    AnceIndex(tmp_path / "y").index(rows("a", dimension=8)).check_model(encoder(head=8, seed=3))


def test_an_index_opens_its_model(tmp_path: Path, model: DenseEncoder) -> None:
    model.save(tmp_path / "model")
    loaded = DenseEncoder.from_pretrained(tmp_path / "model", query_prefix="cat ")
    index = build(tmp_path / "x", loaded)
    again = AnceIndex(tmp_path / "x").model(device="cpu")
    assert (again.fingerprint(), again.text) == (loaded.fingerprint(), loaded.settings)
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"no model .*model"):
        index.model()
    assert index.model(str(tmp_path / "moved")).fingerprint() == loaded.fingerprint()
    encoder(head=8, seed=3).save(tmp_path / "model")
    with pytest.raises(FingerprintError, match="was built with"):
        index.model()
    with pytest.raises(IndexingError, match=r"y was built from vectors.*--model"):
        AnceIndex(tmp_path / "y").index(rows("a")).model()


def test_an_index_searches_with_its_own_model(tmp_path: Path, model: DenseEncoder) -> None:
    model.save(tmp_path / "model")
    loaded = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu")
    index = build(tmp_path / "x", loaded)
    queries = pd.DataFrame({"qid": ["1", "2"], "query": ["king queen", "the cat"]})
    expected = index.retriever(loaded, 3)(queries)
    assert index.own_model() is index.own_model()
    for found in (index.search(["king queen", "the cat"], 3), index.search(queries, k=3), index.retriever(num_results=3)(queries)):
        pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(index.search("king queen", k=3, model=loaded), expected[expected["qid"] == "1"])
    assert index.search("king queen", aggregation="mean", backend="flat").columns.tolist() == ["qid", "query", "docno", "score", "rank"]
    assert len(index.search("king queen")) == len(index) == 7
    scored = index.scorer()(expected)
    np.testing.assert_allclose(scored["score"], expected["score"], rtol=1e-6)
    other = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu", query_prefix="cat ")
    AnceIndex(index.folder, overwrite=True).index((FirstP() >> other.passages())(DOCUMENTS))
    index.reopen()
    assert index.own_model().text == other.text
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=rf"{re.escape(str(index.folder))}.*{re.escape(str(tmp_path / 'model'))}.*--model"):
        AnceIndex(index.folder).search("king queen")
    with pytest.raises(IndexingError, match=r"--model"):
        AnceIndex(tmp_path / "y").index(rows("a")).search("king")


def test_the_old_name_of_the_vectors_warns(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(rows("a"))
    with pytest.warns(FutureWarning, match=r"AnceIndex\.vectors"):
        assert index.store is index.vectors


def test_an_index_travels_as_its_path(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "x", model, dtype="float16")
    queries = model.encode_queries(["king"])
    before = index.search_vectors(queries, 3)
    pickled = pickle.dumps(index)
    assert len(pickled) < 2000
    copy = pickle.loads(pickled)  # noqa: S301
    assert copy == index
    assert hash(copy) == hash(index)
    assert copy != AnceIndex(tmp_path / "y")
    assert (copy.path, copy.dtype, copy.overwrite) == (tmp_path / "x", "float16", False)
    for expected, found in zip(before, copy.search_vectors(queries, 3), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_it_is_a_pyterrier_artifact(tmp_path: Path, model: DenseEncoder) -> None:
    index = build(tmp_path / "x", model)
    meta = json.loads((tmp_path / "x" / "pt_meta.json").read_text(encoding="utf-8"))
    assert {key: meta[key] for key in ("type", "format", "package_hint")} == {
        "type": "dense_index",
        "format": "ance_ir",
        "package_hint": "ance_ir",
    }
    assert pt.inspect.artifact_type_format(index) == ("dense_index", "ance_ir")
    assert pt.inspect.indexer_inputs(index) == [["docno", "doc_vec"]]
    assert AnceIndex.load(tmp_path / "x") == index
    if not any(entry.name == "dense_index.ance_ir" for entry in pt.utils.entry_points("pyterrier.artifact")):
        pytest.skip("the package is not installed, so its entry points are unknown")
    loaded = pt.Artifact.load(str(tmp_path / "x"))
    assert isinstance(loaded, AnceIndex)
    assert loaded == index


def test_every_refusal_has_the_one_root() -> None:
    assert all(issubclass(error, AnceError) for _, error, _ in FAILURES.values())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_vector_that_is_not_finite_is_refused_by_its_document(dtype: Any, tmp_path: Path) -> None:
    vectors = {"d1": [1.0, 2.0], "d2": [1.0, np.nan], "d3": [np.inf, 0.0]}
    rows = [{"docno": docno, "doc_vec": np.array(vector, dtype=np.float32)} for docno, vector in vectors.items()]
    with pytest.raises(IndexingError, match=r"'d2'.*2 of 3"):
        AnceIndex(tmp_path / "x.ance", dtype=dtype).index(iter(rows))
    index = AnceIndex(tmp_path / "x.ance", dtype=dtype).index(iter(rows[:1]))
    with pytest.raises(IndexingError, match="'d3'"):
        index.add(iter(rows[2:]))


@pytest.mark.parametrize("vector", [None, "text", 1.0, [[1.0, 2.0]], [[1.0], [2.0, 3.0]], ["a", "b"]])
def test_what_is_no_vector_is_refused_by_its_document(vector: Any, tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="'d7'"):
        AnceIndex(tmp_path / "x.ance").index(iter([{"docno": "d7", "doc_vec": vector}]))
