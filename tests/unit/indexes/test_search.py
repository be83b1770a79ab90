"""Exact and flat Faiss search against float64 brute force; ties in docno-descending order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ance_ir.errors import UsageError
from ance_ir.indexes.ann.build import open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.search import device_vectors, exact
from ance_ir.indexes.search.device import DeviceSearcher
from ance_ir.indexes.search.device_vectors import DeviceVectors
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.search.products import inner_products
from ance_ir.indexes.search.searcher import TieOrder, VectorSearcher, largest_scores, measured_noise, noise
from ance_ir.indexes.store.vectors import VectorStore, VectorType, VectorWriter

Backend = Literal["exact", "faiss", "sent", "held"]
BACKENDS: list[Backend] = ["exact", "faiss", "sent", "held"]
"""``sent`` and ``held`` are searches by a device, to which vectors are sent, or which holds them in two parts."""


def make_store(folder: Path, vectors: np.ndarray, dtype: VectorType = "float32", shard_rows: int = 1 << 20) -> VectorStore:
    writer = VectorWriter(folder, dtype, shard_bytes=shard_rows * vectors.shape[1] * np.dtype(dtype).itemsize)
    writer.append(vectors)
    return VectorStore(folder, writer.finish())


def make_searcher(backend: Backend, store: VectorStore, tie_order: TieOrder, **options: Any) -> VectorSearcher:
    if backend == "exact":
        return ExactSearcher(store, tie_order, **options)
    if backend != "faiss":
        return DeviceSearcher(device_vectors_of(store, held=backend == "held"), tie_order, **options)
    flat = parse_backend("flat")
    return FaissSearcher(open_faiss(store, store.folder, flat), store, tie_order, flat)


def device_vectors_of(store: VectorStore, *, held: bool) -> DeviceVectors:
    """Vectors on the CPU as GPUs have them, two if they hold them."""
    cpu = torch.device("cpu")
    with mock.patch.object(device_vectors, "_choices", lambda _: [[cpu, cpu]]):
        return DeviceVectors(store, cpu, hold=held)


def brute_force(vectors: np.ndarray, queries: np.ndarray, ties: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores are those of float64, told apart as far as float32 can; equal ones by ``ties``."""
    scores = np.einsum("qd,rd->qr", queries.astype(np.float64), vectors.astype(np.float64)).astype(np.float32)
    order = np.lexsort((np.broadcast_to(ties, scores.shape), -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), order


def check(
    backend: Backend,
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    seed: int = 0,
    dtype: VectorType = "float32",
    shard_rows: int = 1 << 20,
    **options: Any,
) -> None:
    """The ranking is brute force's, for the batch and for one query at a time."""
    ties = np.random.default_rng(seed).permutation(len(vectors))
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), vectors, dtype, shard_rows)
        searcher = make_searcher(backend, store, lambda rows: ties[rows], **options)
        stored = vectors.astype(dtype).astype(np.float32)
        expected_scores, expected_rows = brute_force(stored, queries, ties, k)
        scores, rows = searcher.search(queries, k)
        assert scores.shape == rows.shape == (len(queries), min(k, len(vectors)))
        assert (scores.dtype, rows.dtype) == (np.float32, np.int64)
        assert (rows >= 0).all()
        np.testing.assert_array_equal(rows, expected_rows)
        noise = 1e-5 * max(1.0, float(np.abs(expected_scores).max(initial=0)))
        np.testing.assert_allclose(scores, expected_scores, atol=noise, rtol=0)
        for number in range(min(3, len(queries))):
            _, alone = searcher.search(queries[number : number + 1], k)
            np.testing.assert_array_equal(alone[0], rows[number], err_msg="alone the query is ranked otherwise")


@pytest.mark.parametrize("backend", BACKENDS)
@given(data=st.data())
def test_many_exact_ties(backend: Backend, data: st.DataObject) -> None:
    rows, dimension, queries = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    values = st.lists(st.integers(-1, 1), min_size=dimension, max_size=dimension)
    vectors = np.array(data.draw(st.lists(values, min_size=rows, max_size=rows)), dtype=np.float32)
    asked = np.array(data.draw(st.lists(values, min_size=queries, max_size=queries)), dtype=np.float32)
    check(backend, vectors, asked, data.draw(st.integers(1, 70)), data.draw(st.integers(0, 5)), shard_rows=data.draw(st.integers(1, 70)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@given(
    seed=st.integers(0, 1 << 30),
    rows=st.integers(1, 300),
    dimension=st.integers(1, 70),
    k=st.integers(1, 320),
    distinct=st.integers(1, 300),
    norm=st.sampled_from([1e-3, 1.0, 27.0]),
)
def test_real_vectors_with_duplicates(
    backend: Backend, dtype: VectorType, seed: int, rows: int, dimension: int, k: int, distinct: int, norm: float
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(min(distinct, rows), dimension))[rng.integers(0, min(distinct, rows), rows)]
    vectors *= norm / np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = rng.normal(size=(3, dimension)) * norm / np.sqrt(dimension)
    check(backend, vectors.astype(np.float32), queries.astype(np.float32), k, seed, dtype, shard_rows=100)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [1, 10, 1023, 1024, 1025, 3500, 5000])
@pytest.mark.parametrize("kind", ["random", "few", "equal"])
def test_blocks_smaller_than_the_corpus(backend: Backend, k: int, kind: str) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(3500, 6)).astype(np.float32)
    if kind == "few":
        vectors = vectors[rng.integers(0, 7, 3500)]
    elif kind == "equal":
        vectors = np.repeat(vectors[:1], 3500, axis=0)
    queries = rng.normal(size=(2, 6)).astype(np.float32)
    check(backend, vectors, queries, k, shard_rows=2500, **({} if backend == "faiss" else {"memory_budget": 1}))


@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_of_hundreds_closer_than_float32_tells(backend: Backend) -> None:
    """As of models without normalisation: norms of 27, scores near 700, most of them within a few units of the last place."""
    rng = np.random.default_rng(2)
    centre = rng.normal(size=768)
    vectors = centre + rng.normal(size=(2000, 768)) * 1e-6 * rng.integers(0, 3, (2000, 1))
    vectors *= 27 / np.linalg.norm(centre)
    queries = (centre + rng.normal(size=(40, 768)) * 0.01) * 27 / np.linalg.norm(centre)
    check(backend, vectors.astype(np.float32), queries.astype(np.float32), 100)


@pytest.mark.parametrize("backend", BACKENDS)
def test_zero_vectors_and_zero_queries(backend: Backend) -> None:
    vectors = np.zeros((20, 3), dtype=np.float32)
    vectors[:5] = np.random.default_rng(0).normal(size=(5, 3))
    check(backend, vectors, np.array([[0, 0, 0], [1, 2, 3]], dtype=np.float32), 12)
    check(backend, np.zeros((20, 3), dtype=np.float32), np.ones((2, 3), dtype=np.float32), 12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_queries(tmp_path: Path, backend: Backend) -> None:
    store = make_store(tmp_path, np.ones((4, 3), dtype=np.float32))
    scores, rows = make_searcher(backend, store, lambda rows: rows).search(np.zeros((0, 3), dtype=np.float32), 2)
    assert scores.shape == rows.shape == (0, 2)


def test_more_queries_than_a_block_of_them() -> None:
    rng = np.random.default_rng(3)
    check("exact", rng.integers(-2, 3, (50, 3)).astype(np.float32), rng.integers(-2, 3, (2100, 3)).astype(np.float32), 5)


@pytest.mark.parametrize("threads", [1, 3])
def test_scores_are_compared_in_any_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More queries than one part of them, whose shares are not equal, and vectors of which many are equal."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    rng = np.random.default_rng(7)
    check("exact", rng.integers(-2, 3, (700, 4)).astype(np.float32), rng.integers(-2, 3, (1100, 4)).astype(np.float32), 20)


def test_masses_of_equal_vectors() -> None:
    """More than fit between two blocks, above, at and below the cut; the best come last."""
    rng = np.random.default_rng(4)
    vectors = np.repeat(rng.normal(size=(3, 4)).astype(np.float32), [100_000, 30_000, 4], axis=0)
    queries = np.concatenate([vectors[[0, 100_000, -1]], rng.normal(size=(6, 4)).astype(np.float32)])
    for k in (1, 10, 200):
        check("exact", vectors, queries, k, shard_rows=50_000, memory_budget=4 << 20)


def test_scores_that_rise_throughout_the_corpus() -> None:
    """Each block is better than all before it, so that every row is a candidate once."""
    vectors = np.linspace(-1, 1, 40_000, dtype=np.float32)[:, None] * np.array([[1, 2]], dtype=np.float32)
    check("exact", vectors, np.array([[1, 1], [-1, 0], [2, -1]], dtype=np.float32), 300, memory_budget=1)


@pytest.mark.parametrize("kind", ["rising", "random", "few"])
def test_blocks_that_have_more_candidates_than_there_is_place_for(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(exact, "least_room", lambda k: 1)
    rng = np.random.default_rng(8)
    vectors = rng.normal(size=(3000, 2)).astype(np.float32)
    if kind == "rising":
        vectors = np.linspace(-1, 1, 3000, dtype=np.float32)[:, None] * np.array([[1, 2]], dtype=np.float32)
    elif kind == "few":
        vectors = vectors[rng.integers(0, 5, 3000)]
    check("exact", vectors, np.array([[1, 1], [-1, 0], [2, -1]], dtype=np.float32), 20, memory_budget=1)


def test_vectors_are_read_once_for_as_many_queries_as_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    vectors, queries = rng.normal(size=(300, 4)).astype(np.float32), rng.normal(size=(5000, 4)).astype(np.float32)
    store = make_store(tmp_path, vectors)
    read = []
    blocks = store.blocks
    monkeypatch.setattr(store, "blocks", lambda rows: read.append(rows) or blocks(rows))
    found = []
    for budget, times in ((512 << 20, 1), (16 << 20, 8)):
        read.clear()
        found.append(ExactSearcher(store, lambda rows: rows, memory_budget=budget).search(queries, 20)[1])
        assert 1 <= len(read) <= times
    assert len(read) > 1
    np.testing.assert_array_equal(found[0], brute_force(vectors, queries, np.arange(300), 20)[1])
    np.testing.assert_array_equal(found[1], found[0])


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("k", [1, 40, 6000])
def test_only_rows_that_are_searchable_are_found(tmp_path: Path, share: float, k: int) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.integers(-3, 4, size=(5000, 4)).astype(np.float32)
    vectors[4000:] *= -1
    searchable = rng.random(5000) < share
    searchable[3000:3600] = False
    queries, ties = rng.normal(size=(3, 4)).astype(np.float32), rng.permutation(5000)
    searcher = ExactSearcher(make_store(tmp_path, vectors), lambda rows: ties[rows], searchable=searchable, memory_budget=1)
    scores, rows = searcher.search(queries, k)
    left = np.flatnonzero(searchable)
    expected_scores, expected = brute_force(vectors[left], queries, ties[left], k)
    np.testing.assert_array_equal(rows, left[expected])
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)


def directions(kind: str, rng: np.random.Generator, rows: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and 30 queries as models make them."""
    vectors, queries = rng.normal(size=(rows, dimension)), rng.normal(size=(30, dimension))
    if kind == "common":  # norms of 27 and scores near 700, as of models without normalisation
        centre = rng.normal(size=dimension)
        vectors, queries = ((centre + part * 0.15) * 27 / np.sqrt(dimension) for part in (vectors, queries))
    elif kind == "unit":  # some close to the query, most not
        vectors[:500] += 3 * queries[rng.integers(0, 30, 500)]
        vectors, queries = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (vectors, queries))
    elif kind == "outliers":  # two dimensions that are far larger than the others, and cancel out
        vectors[:, [3, dimension - 2]] += 40
        queries[:, 3], queries[:, dimension - 2] = 40, -40
    vectors[rows // 2 :] = vectors[rng.integers(0, rows // 2, rows - rows // 2)] * (1 + rng.choice([0, 1e-7, 1e-6], (rows - rows // 2, 1)))
    return vectors.astype(np.float32), queries.astype(np.float32)


@pytest.mark.parametrize("kind", ["random", "common", "unit", "outliers"])
@pytest.mark.parametrize("dimension", [384, 768])
def test_the_ranking_is_that_of_exact_scores_however_they_are_computed(tmp_path: Path, kind: str, dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    vectors, queries = directions(kind, rng, 4000, dimension)
    ties = rng.permutation(len(vectors))
    store = make_store(tmp_path, vectors, shard_rows=1500)
    _, expected = brute_force(vectors, queries, ties, 1500)
    for k, batch, budget in ((1500, 30, 512 << 20), (1500, 7, 1), (300, 1, 512 << 20), (10, 2, 1), (1, 1, 1)):
        searcher = ExactSearcher(store, lambda rows: ties[rows], memory_budget=budget)
        for start in range(0, len(queries) if batch > 1 else 5, batch):
            _, rows = searcher.search(queries[start : start + batch], k)
            np.testing.assert_array_equal(rows, expected[start : start + batch, :k], err_msg=f"{k=} {batch=} {budget=}")


def test_noise_is_never_measured_to_be_less_than_it_is(tmp_path: Path) -> None:
    """No two scores of other products are further from exact ones than what is measured on these."""
    for number, kind in enumerate(["random", "common", "unit", "outliers"]):
        vectors, queries = directions(kind, np.random.default_rng(number), 2000, 768)
        (tmp_path / kind).mkdir()
        store = make_store(tmp_path / kind, vectors)
        exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
        scores, rows = ExactSearcher(store, lambda rows: rows).search(queries, 500)
        products = np.take_along_axis(queries @ vectors.T, rows, 1)
        found = measured_noise(store, queries, products, rows)
        errors = np.abs(products - np.take_along_axis(exact, rows, 1))
        assert (errors.max(1) + errors.mean(1) < found).all()
        assert (found <= noise(store, queries)).all()
        np.testing.assert_allclose(scores, products, atol=float(noise(store, queries).max()))


def test_noise_is_that_of_rounding_where_products_are_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors, queries = (rng.integers(-3, 4, (rows, 16)).astype(np.float32) for rows in (300, 5))
    store = make_store(tmp_path, vectors)
    found = measured_noise(store, queries, queries @ vectors.T, np.tile(np.arange(300), (5, 1)))
    np.testing.assert_allclose(found, 2.0**-22 * largest_scores(store, queries), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_queries_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    store = make_store(tmp_path, np.full((4, 3), 10, dtype=np.float32))
    with pytest.raises(UsageError, match=r"query vector 1 .*not finite"):
        ExactSearcher(store, lambda rows: rows).search(np.array([[1, 2, 3], [1, value, 3]], dtype=np.float32), 2)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_products_of_one_query_do_not_depend_on_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.indexes.search.products._NUMBERS_OF_THREAD", 1000)
    rng = np.random.default_rng(6)
    block, query = torch.from_numpy(rng.normal(size=(5003, 20)).astype(np.float32)), torch.ones(1, 20)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        scores = inner_products(query, block)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(scores, block.sum(1)[None])
