"""The cache of query vectors: it spares encoding, and never answers for another model or text."""

from __future__ import annotations

import multiprocessing
import pickle
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ance_ir.errors import UsageError
from ance_ir.models import DenseEncoder, QueryEncoder
from ance_ir.models.dense.query_cache import QueryCache
from tests.tiny import WORDS, encoder

TEXTS = ["king queen", "the cat sleeps", "", "lone \ud800 surrogate", "nul \0 sign", "日本"]


def frame(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"qid": [f"q{number}" for number in range(len(texts))], "query": pd.Series(texts, dtype=object)})


def vectors(queries: QueryEncoder, texts: list[str]) -> np.ndarray:
    return np.stack(queries(frame(texts))["query_vec"].to_list())


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are encoded."""
    texts: list[str] = []
    original = DenseEncoder.encode_queries

    def encode(self: DenseEncoder, asked: list[str]) -> np.ndarray:
        texts.extend(asked)
        return original(self, asked)

    monkeypatch.setattr(DenseEncoder, "encode_queries", encode)
    return texts


def test_each_text_is_encoded_once(tmp_path: Path, encoded: list[str]) -> None:
    model, path = encoder(head=8), tmp_path / "new folder" / "queries.db"
    plain = vectors(model.queries(), TEXTS)
    encoded.clear()
    first = vectors(model.queries(cache=path), TEXTS[:3])
    assert encoded == TEXTS[:3]
    second = vectors(model.queries(cache=str(path)), TEXTS[::-1])
    assert sorted(encoded) == sorted(TEXTS)
    np.testing.assert_array_equal(second[::-1][:3], first)
    np.testing.assert_allclose(second[::-1], plain, rtol=1e-4, atol=1e-5)
    assert second.dtype == np.float32
    vectors(model.queries(cache=path), TEXTS)
    assert len(encoded) == len(TEXTS)


def test_more_texts_than_are_asked_for_at_once(tmp_path: Path, encoded: list[str]) -> None:
    texts = [f"{WORDS[number % len(WORDS)]} {number}" for number in range(1234)]
    queries = encoder(head=8).queries(cache=tmp_path / "queries.db")
    first = vectors(queries, texts)
    encoded.clear()
    np.testing.assert_array_equal(vectors(queries, texts), first)
    assert encoded == []


@pytest.mark.parametrize("change", ["weights", "text", "precision"])
def test_another_model_is_another_key(change: str, tmp_path: Path, encoded: list[str]) -> None:
    model, path = encoder(head=8), tmp_path / "queries.db"
    vectors(model.queries(cache=path), TEXTS)
    if change == "weights":
        other = encoder(head=8, seed=9)
    elif change == "text":
        other = model.with_settings(query_length=5)
    else:
        model.save(tmp_path / "model")
        other = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu", precision="bfloat16")
    encoded.clear()
    found = vectors(other.queries(cache=path), TEXTS)
    assert encoded == TEXTS
    np.testing.assert_array_equal(found, vectors(other.queries(cache=path), TEXTS))


def test_pickling(tmp_path: Path, encoded: list[str]) -> None:
    model = encoder(head=8)
    one = model.queries(cache=tmp_path / "1.db")
    found = vectors(one, TEXTS)
    encoded.clear()
    again = pickle.loads(pickle.dumps(one))  # noqa: S301
    np.testing.assert_array_equal(vectors(again, TEXTS), found)
    assert encoded == []


def test_a_vector_that_was_cut_short_is_encoded_again(tmp_path: Path, encoded: list[str]) -> None:
    queries = encoder(head=8).queries(cache=tmp_path / "queries.db")
    expected = vectors(queries, TEXTS)
    with sqlite3.connect(tmp_path / "queries.db") as connection:
        connection.execute("UPDATE vectors SET vector = substr(vector, 1, 10)")
    connection.close()
    encoded.clear()
    np.testing.assert_allclose(vectors(queries, TEXTS), expected, rtol=1e-5, atol=1e-6)
    assert encoded == TEXTS
    vectors(queries, TEXTS)
    assert encoded == TEXTS


def test_something_else_at_the_path(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database at all, but something long enough to be taken for one" * 50)
    for path in (tmp_path / "notes.txt", tmp_path):
        with pytest.raises(UsageError, match="cache of query vectors"):
            vectors(encoder(head=8).queries(cache=path), TEXTS)
    assert (tmp_path / "notes.txt").read_text().startswith("not a database")


class Stub:
    """What the cache needs of a model, without torch, which does not like forks."""

    dimension, precision = 4, "float32"

    def fingerprint(self) -> str:
        return "stub"

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return np.array([[float(text)] * self.dimension for text in texts], dtype=np.float32)


def use(path: Path, shift: int) -> None:
    cache = QueryCache(path, Stub())  # type: ignore[arg-type]
    for start in range(0, 300, 3):
        texts = [str((start + shift + number) % 300) for number in range(6)]
        assert cache.encode(Stub(), texts)[:, 0].tolist() == [float(text) for text in texts]  # type: ignore[arg-type]


@pytest.mark.slow
def test_several_processes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("fork")
    path = tmp_path / "queries.db"
    processes = [context.Process(target=use, args=(path, shift)) for shift in (0, 100, 200, 0)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    monkeypatch.setattr(Stub, "encode_queries", lambda *_: pytest.fail("all are there"))
    use(path, 50)


def test_a_model_that_has_changed_writes_nothing_under_its_old_name(tmp_path: Path) -> None:
    model = encoder()
    queries = model.queries(cache=tmp_path / "q.db")
    before = vectors(queries, ["king"])
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    with pytest.raises(UsageError, match="has changed"):
        queries(frame(["queen"]))
    assert (vectors(queries, ["king"]) == before).all(), "what is there was made by the model of that name"
