"""Late interaction: MaxSim next to sentence-transformers', in the layouts of ColBERT, PyLate and sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.errors import ModelError, UsageError
from ance_ir.files import cache_folder
from ance_ir.models import DenseEncoder, MultiVectorEncoder
from ance_ir.pipelines import LateInteractionReranker, Systems, dataset_bm25, late_interaction
from ance_ir.pipelines.fingerprint import fingerprint
from tests.device_memory import fitting
from tests.tiny import WORDS, encoder

pytest.importorskip("sentence_transformers", minversion="6.2", reason="sentence-transformers 6.2 is not installed")
library_models = pytest.importorskip("tests.library_models")

TEXTS = {f"d{number}": " ".join(np.random.default_rng(number).choice(WORDS, 5 * number)) for number in range(9)}
TEXTS |= {"twin": TEXTS["d3"], "signs": ". . ,"}
FRAME = pd.DataFrame(
    [
        {"qid": qid, "query": query, "docno": docno, "text": text, "title": "moon" if docno == "d4" else None}
        for qid, query in (("q2", "king of the river"), ("q1", "cat"))
        for docno, text in TEXTS.items()
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library_models.write_multi_vector(tmp_path_factory.mktemp("models") / "colbert")


@pytest.fixture(scope="module")
def model(folder: Path) -> MultiVectorEncoder:
    return MultiVectorEncoder.from_pretrained(folder, device="cpu")


@pytest.mark.parametrize("layout", library_models.LAYOUTS)
def test_scores_are_those_of_the_library(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentence_transformers import MultiVectorEncoder as Library

    monkeypatch.setattr(late_interaction, "_QUERIES", 1)
    monkeypatch.setattr(late_interaction, "_DOCUMENTS", 4)
    folder = library_models.LAYOUTS[layout](tmp_path / layout)
    found = LateInteractionReranker.from_pretrained(folder, device="cpu")(FRAME)
    library = Library(str(folder), device="cpu")
    read = {docno: f"moon {text}" if docno == "d4" else text for docno, text in TEXTS.items()}
    documents = library.encode_document(list(read.values()))
    for qid, query in (("q2", "king of the river"), ("q1", "cat")):
        (vectors,) = library.encode_query([query])
        by_library = library.similarity([vectors], documents)[0].tolist()
        by_hand = [float((vectors @ document.T).max(dim=1).values.sum()) for document in documents]
        of_query = found[found["qid"] == qid].set_index("docno")
        np.testing.assert_allclose(of_query["score"][list(read)], by_library, atol=1e-5)
        np.testing.assert_allclose(of_query["score"][list(read)], by_hand, atol=1e-5)
        assert of_query["rank"].tolist() == list(range(len(read)))
        assert of_query["score"].is_monotonic_decreasing
    assert found["qid"].drop_duplicates().tolist() == ["q2", "q1"]


def test_what_is_no_multi_vector_encoder_is_refused(tmp_path: Path) -> None:
    encoder().save(tmp_path / "dense")
    with pytest.raises(ModelError, match="dense"):
        MultiVectorEncoder.from_pretrained(tmp_path / "dense", device="cpu")


def test_token_vectors_are_kept(model: MultiVectorEncoder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = LateInteractionReranker(model)(FRAME)
    kept = LateInteractionReranker(model, cache=tmp_path / "deep" / "tokens.db")
    pd.testing.assert_frame_equal(kept(FRAME), expected)
    with monkeypatch.context() as patched:
        patched.setattr(MultiVectorEncoder, "encode_documents", lambda *_: pytest.fail("they are on disk"))
        pd.testing.assert_frame_equal(kept(FRAME), expected)
        pd.testing.assert_frame_equal(LateInteractionReranker(model, cache=tmp_path / "deep" / "tokens.db")(FRAME), expected)
    other = MultiVectorEncoder.from_pretrained(library_models.write_multi_vector(tmp_path / "other", seed=1), device="cpu")
    mixed = LateInteractionReranker(other, cache=tmp_path / "deep" / "tokens.db")(FRAME)
    pd.testing.assert_frame_equal(mixed, LateInteractionReranker(other)(FRAME))
    assert fingerprint(kept) != fingerprint(LateInteractionReranker(other))
    (tmp_path / "text.db").write_text("something else, longer than the head of a database" * 4)
    with pytest.raises(UsageError, match=r"text\.db"):
        LateInteractionReranker(model, cache=tmp_path / "text.db")(FRAME)


def test_the_fingerprint_follows_what_is_read_of_a_text(folder: Path, tmp_path: Path) -> None:
    model = MultiVectorEncoder.from_pretrained(folder, device="cpu")
    library = model.model
    seen = {model.fingerprint()}
    changes: list[tuple[object, str, object]] = [
        (library, "max_seq_length", 20),
        (library[0], "document_length", 12),
        (library[0], "query_expansion", {"strategy": "fixed", "length": 12}),
        (library, "prompts", {**library.prompts, "document": "the "}),
        (library.tokenizer, "truncation_side", "left"),
    ]
    for number, (changed, name, value) in enumerate(changes, start=2):
        setattr(changed, name, value)
        model.encode_documents(["king queen " * 20, "cat"])
        seen.add(model.fingerprint())
        assert len(seen) == number, name
    library.save(str(tmp_path / "changed"))
    assert MultiVectorEncoder.from_pretrained(tmp_path / "changed", device="cpu").fingerprint() == model.fingerprint()


def test_what_was_encoded_before_an_interruption_stays(model: MultiVectorEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_interaction, "_DOCUMENTS", 3)
    encode, encoded = MultiVectorEncoder.encode_documents, list[str]()

    def breaking(self: MultiVectorEncoder, texts: list[str]) -> list[np.ndarray]:
        if len(encoded) == 6:
            raise KeyboardInterrupt
        encoded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(MultiVectorEncoder, "encode_documents", breaking)
    with pytest.raises(KeyboardInterrupt):
        LateInteractionReranker(model, cache=tmp_path / "x.db")(FRAME)
    encoded.append("the second run")
    LateInteractionReranker(model, cache=tmp_path / "x.db")(FRAME)
    assert (
        len(encoded)
        == len(set(encoded))
        == 1 + len({f"{title or ''} {text}" for title, text in zip(FRAME["title"], FRAME["text"], strict=True)})
    )


def test_systems_from_text(folder: Path, model: MultiVectorEncoder, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in TEXTS.items()))
    dataset = load_dataset(tmp_path)
    systems = Systems(dataset, num_results=7, device="cpu")
    queries = pd.DataFrame({"qid": ["q1"], "query": ["king of the river"]})
    expected = (dataset_bm25(dataset).retriever(5) >> LateInteractionReranker(model, dataset=dataset))(queries)
    for text in (f"bm25 % 5 >> colbert[model={folder}]", f"bm25 % 5 >> {folder}", f"bm25 % 5 >> colbert[model={folder}; cache=yes]"):
        _, pipeline = systems.parse(text)
        pd.testing.assert_frame_equal(pipeline(queries)[expected.columns], expected)
    assert [path.stem for path in (cache_folder() / "colbert").iterdir()] == [model.fingerprint()]
    for text in (f"colbert[model={folder}]", f"bm25 >> {folder}[model=x]", f"bm25 >> {folder}[kept=yes]", f"bm25 >> {folder}[cache=maybe]"):
        with pytest.raises(UsageError):
            systems.parse(text)


@pytest.mark.parametrize("name", ["write_splade", "write_multi_vector", "write_stanford", "write_pylate"])
def test_a_dense_encoder_is_not_made_of_one(tmp_path: Path, name: str) -> None:
    folder = getattr(library_models, name)(tmp_path / "x")
    with pytest.raises(ModelError, match=r"SparseEncoder|MultiVectorEncoder"):
        DenseEncoder.from_pretrained(folder, device="cpu")


def test_texts_that_do_not_fit_are_encoded_in_smaller_batches(
    model: MultiVectorEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in ("query", "document"):
        encode = model.encode_queries if kind == "query" else model.encode_documents
        expected = encode(WORDS)
        monkeypatch.setattr(model.model, f"encode_{kind}", fitting(getattr(model.model, f"encode_{kind}"), 20))
        for one, other in zip(encode(WORDS), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert caplog.text.count("from now on they have 8") == 2
