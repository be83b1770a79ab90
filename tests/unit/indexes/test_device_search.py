"""Exact search by a device: the same rankings as on a CPU. Where no GPU is there, the CPU plays the device."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ance_ir.errors import DamagedIndexError
from ance_ir.float32 import exact_float32
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.mining.allowed import DenseRanker
from ance_ir.indexes.search import device, device_vectors
from ance_ir.indexes.search.device import DeviceSearcher
from ance_ir.indexes.search.device_vectors import DeviceVectors
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.search.products import inner_products, of_halves
from ance_ir.indexes.search.searcher import noise
from ance_ir.indexes.store.vectors import VectorStore, VectorType, VectorWriter
from ance_ir.training import TrainingQueries
from tests.tiny import encoder

CPU = torch.device("cpu")


def make_store(folder: Path, vectors: np.ndarray, dtype: VectorType = "float32", shard_bytes: int = 1 << 17) -> VectorStore:
    writer = VectorWriter(folder, dtype, shard_bytes)
    writer.append(vectors)
    return VectorStore(folder, writer.finish())


def close_vectors(rows: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Of unit length, a third of them equal to others or almost, in crowds of several sizes."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, dimension)) + 2 * rng.normal(size=dimension)
    copies = rng.permutation(rows)[: rows // 3]
    vectors[copies] = vectors[(rng.integers(0, rows, len(copies)) ** 2) // rows] * (1 + rng.choice([0, 1e-7], (len(copies), 1)))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


HOLD = pytest.mark.parametrize("hold", [True, False], ids=["held", "sent"])


@HOLD
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("queries", "k", "budget"), [(1, 10, 1), (1, 4000, 1 << 29), (20, 100, 1), (20, 10, 1 << 24), (20, 1000, 1 << 29)])
def test_rankings_are_those_of_a_cpu(
    hold: bool, dtype: VectorType, queries: int, k: int, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_TOGETHER", 8)
    store = make_store(tmp_path, close_vectors(4000, 48), dtype)
    ties = np.random.default_rng(1).permutation(4000)
    searchable = np.random.default_rng(2).random(4000) < 0.8
    asked = close_vectors(queries, 48, seed=3)
    for may in (None, searchable):
        expected = ExactSearcher(store, lambda rows: ties[rows], searchable=may).search(asked, k)
        vectors = DeviceVectors(store, CPU, hold=hold)
        assert bool(vectors.resident) == hold
        found = DeviceSearcher(vectors, lambda rows: ties[rows], searchable=may, memory_budget=budget).search(asked, k)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_allclose(found[0], expected[0], atol=1e-6)


@pytest.mark.parametrize(("crowd", "searches"), [(40, [200]), (900, [200, 8]), (3000, [200, 8])])
def test_crowds_of_equal_vectors_at_the_last_place(
    crowd: int, searches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight queries of 200 have a crowd of equal vectors at their tenth place: they alone are searched deeper, in the end on the CPU."""
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(6000, 16)).astype(np.float32)
    vectors[rng.permutation(6000)[:crowd]] = 6 * np.eye(16)[0]
    vectors[:5] = 7 * np.eye(16)[0]
    queries = rng.normal(size=(200, 16)).astype(np.float32)
    queries[:, 0] = -np.abs(queries[:, 0])
    queries[::25] = np.eye(16)[0]
    store, ties = make_store(tmp_path, vectors), rng.permutation(6000)
    searched: list[int] = []
    ranked, on_cpu = DeviceSearcher._ranked, ExactSearcher.search
    monkeypatch.setattr(DeviceSearcher, "_ranked", lambda self, some, *rest: searched.append(len(some)) or ranked(self, some, *rest))
    expected = on_cpu(ExactSearcher(store, lambda rows: ties[rows]), queries, 10)
    monkeypatch.setattr(ExactSearcher, "search", lambda self, some, k: searched.append(-len(some)) or on_cpu(self, some, k))
    found = DeviceSearcher(DeviceVectors(store, CPU), lambda rows: ties[rows]).search(queries, 10)
    np.testing.assert_array_equal(found[1], expected[1])
    assert searched == [*searches, *([-8] if crowd == 3000 else [])]


def test_vectors_are_sent_once_for_many_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path, np.random.default_rng(5).normal(size=(3000, 8)).astype(np.float32))
    read: list[int] = []
    blocks = store.blocks
    monkeypatch.setattr(store, "blocks", lambda rows, *rest: read.append(rows) or blocks(rows, *rest))
    DeviceSearcher(DeviceVectors(store, CPU), lambda rows: rows).search(np.random.default_rng(6).normal(size=(2000, 8)), 20)
    assert len(read) == 1


@pytest.mark.parametrize("rows", [1, 700, 10_000])
def test_what_is_sent_is_what_is_stored(rows: int, tmp_path: Path) -> None:
    """Also while the buffers that it came through are filled again."""
    vectors = np.random.default_rng(7).normal(size=(2000, 8)).astype(np.float32)
    ((where, blocks),) = DeviceVectors(make_store(tmp_path, vectors), CPU).parts(rows)
    sent = list(blocks)
    assert where == CPU and max(len(block) for _, block in sent) <= rows
    assert [first for first, _ in sent] == list(np.cumsum([0, *(len(block) for _, block in sent[:-1])]))
    np.testing.assert_array_equal(torch.cat([block for _, block in sent]).numpy(), vectors)


@pytest.mark.parametrize("torchrun", [False, True])
@pytest.mark.parametrize(
    ("named", "free", "expected"),
    [
        ("cuda", 8000, "cuda:0 cuda:1 cuda:2"),
        ("cuda", 4000, "cuda:0 cuda:1 cuda:2"),
        ("cuda", 3000, ""),
        ("cuda:1", 9600, "cuda:1"),
        ("cuda:1", 9599, "cuda:0 cuda:1 cuda:2"),
        ("cuda:1", 3000, ""),
        ("cpu", 1 << 40, ""),
    ],
)
def test_where_vectors_are_held(
    named: str, free: int, expected: str, torchrun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 300 vectors of 32 bytes; processes of torchrun leave the GPUs of the others alone."""
    store = make_store(tmp_path, np.zeros((300, 8), dtype=np.float32))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(device_vectors, "free_memory", lambda device: free if device.type == "cuda" else -1)
    monkeypatch.setattr(device_vectors, "_hold", lambda _, share, place: (share, place))
    monkeypatch.setenv("WORLD_SIZE", "4" if torchrun else "1")
    held: Any = DeviceVectors(store, named).resident
    if torchrun and named == "cuda:1" and len(expected.split()) > 1:
        expected = ""
    assert " ".join(str(place) for _, (_, place) in held) == expected
    assert [share for _, (share, _) in held] == [
        slice(number * 300 // len(held), (number + 1) * 300 // len(held)) for number in range(len(held))
    ]
    assert all(first == share.start for first, (share, _) in held)


@HOLD
@pytest.mark.parametrize(("count", "fitting", "budget"), [(30, 100_000, 4 << 20), (1, 20_000, 64 << 20)])
def test_a_device_that_runs_out_of_memory_takes_smaller_blocks(
    hold: bool, count: int, fitting: int, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for all searchers of the vectors, also where a block of one query has as many rows as a block ever has."""
    store = make_store(tmp_path, close_vectors(40_000, 8), shard_bytes=1 << 21)
    queries = close_vectors(count, 8, seed=8)
    products, tried = device.inner_products, []

    def short(queries_QD: torch.Tensor, block_ND: torch.Tensor) -> torch.Tensor:
        tried.append(scores := len(queries_QD) * len(block_ND))
        if scores > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return products(queries_QD, block_ND)

    monkeypatch.setattr(device, "inner_products", short)
    monkeypatch.setattr(device, "_ROWS", 1 << 16)
    vectors = DeviceVectors(store, CPU, hold=hold)
    for _ in range(2):
        searcher = DeviceSearcher(vectors, lambda rows: rows, memory_budget=budget)
        np.testing.assert_array_equal(searcher.search(queries, 50)[1], ExactSearcher(store, lambda rows: rows).search(queries, 50)[1])
    assert sum(scores > fitting for scores in tried) == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_few_queries_are_sent_no_more_than_the_budget_and_a_few_mebibytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path, np.random.default_rng(5).normal(size=(400, 4096)).astype(np.float32))
    read: list[int] = []
    blocks = store.blocks
    monkeypatch.setattr(store, "blocks", lambda rows, *rest: read.append(rows) or blocks(rows, *rest))
    for count in (1, 5):
        DeviceSearcher(DeviceVectors(store, CPU), lambda rows: rows, memory_budget=1).search(np.ones((count, 4096), dtype=np.float32), 3)
    assert read and max(read) * 4096 * 4 <= 4 << 20


@HOLD
def test_which_rows_may_be_found_is_sent_once_to_a_device(hold: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In front of all blocks: none waits for it."""
    store = make_store(tmp_path, close_vectors(3000, 8))
    searcher = DeviceSearcher(DeviceVectors(store, CPU, hold=hold), lambda rows: rows, searchable=np.arange(3000) % 2 == 0)
    monkeypatch.setattr(device, "_ROWS", 100)
    happened: list[str] = []
    to, add = torch.Tensor.to, device._Top.add

    def sent(tensor: torch.Tensor, *place: Any, **how: Any) -> torch.Tensor:
        if tensor.dtype == torch.bool:
            happened.append("sent")
        return to(tensor, *place, **how)

    monkeypatch.setattr(torch.Tensor, "to", sent)
    monkeypatch.setattr(device._Top, "add", lambda *given: happened.append("searched") or add(*given))
    searcher.search(close_vectors(1, 8, seed=8), 5)
    assert happened == ["sent", *["searched"] * 30]


def test_what_does_not_fit_after_all_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    store = make_store(tmp_path, close_vectors(300, 4))

    def hold(store: VectorStore, share: slice, place: torch.device) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(device_vectors, "_hold", hold)
    vectors = DeviceVectors(store, CPU, hold=True)
    assert not vectors.resident and str(tmp_path) in caplog.text
    assert sum(len(block) for _, blocks in vectors.parts(100) for _, block in blocks) == 300


@HOLD
def test_vectors_that_are_not_finite_are_damage(hold: bool, tmp_path: Path) -> None:
    store = make_store(tmp_path, np.ones((50, 4), dtype=np.float32))
    raw = bytearray((tmp_path / store.shards[0].file).read_bytes())
    raw[-4:] = np.float32(np.nan).tobytes()
    (tmp_path / store.shards[0].file).write_bytes(raw)
    with pytest.raises(DamagedIndexError, match="not finite"):
        DeviceSearcher(DeviceVectors(store, CPU, hold=hold), lambda rows: rows).search(np.ones((1, 4), dtype=np.float32), 3)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[DeviceVectors]]:
    """The CPU plays every GPU; the vectors that were put there."""
    made: list[weakref.ref[DeviceVectors]] = []

    def make(store: VectorStore, _: str) -> DeviceVectors:
        vectors = DeviceVectors(store, CPU, hold=True)
        made.append(weakref.ref(vectors))
        return vectors

    monkeypatch.setattr(device, "DeviceVectors", make)
    return made


def make_index(folder: Path, vectors: np.ndarray) -> AnceIndex:
    return AnceIndex(folder / "x.ance").index([{"docno": f"d{number}", "doc_vec": vector} for number, vector in enumerate(vectors)])


def test_vectors_stay_as_long_as_the_opened_index(gpu: list[weakref.ref[DeviceVectors]], tmp_path: Path) -> None:
    index = make_index(tmp_path, np.eye(4, dtype=np.float32))
    searchers = [index.searcher(device=name) for name in ("cuda:0", "cuda:0", "cuda:1", "cpu")]
    assert [type(searcher) for searcher in searchers] == [*[DeviceSearcher] * 3, ExactSearcher]
    np.testing.assert_array_equal(index.search_vectors(np.eye(4, dtype=np.float32), 1, searchers[0])[1], np.arange(4)[:, None])
    assert len(gpu) == 2
    del searchers
    assert all(one() is not None for one in gpu)
    index.reopen()
    assert all(one() is None for one in gpu), "a GPU's memory is not for the collector of garbage to free"
    assert isinstance(index.searcher(device="cuda:0"), DeviceSearcher) and len(gpu) == 3


def test_retrieval_and_mining_search_where_the_model_is(
    gpu: list[weakref.ref[DeviceVectors]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, queries = close_vectors(300, 16), close_vectors(20, 16, seed=11)
    index, model = make_index(tmp_path, vectors), encoder(head=16)
    asked = pd.DataFrame({"qid": [str(number) for number in range(20)], "query": "", "query_vec": list(queries)})
    own = [np.array([number]) for number in range(20)]
    training = TrainingQueries(qids=[*asked["qid"]], texts=[""] * 20, positives=own, excluded=own, documents=300)

    def found() -> tuple[pd.DataFrame, np.ndarray]:
        (ranked,) = DenseRanker(index, model, training).allowed(np.arange(20), 10)
        return index.retriever(model, 10, check=False).transform(asked), ranked.found_BF

    monkeypatch.setattr(model, "encode_queries", lambda texts: queries[: len(texts)])
    on_cpu = found()
    assert not gpu
    monkeypatch.setattr(type(model), "device", torch.device("cuda:0"))
    searched: list[int] = []
    search = DeviceSearcher.search
    monkeypatch.setattr(DeviceSearcher, "search", lambda self, some, k: searched.append(k) or search(self, some, k))
    on_gpu = found()
    assert len(gpu) == 1 and searched == [11, 10]
    pd.testing.assert_frame_equal(on_gpu[0], on_cpu[0])
    np.testing.assert_array_equal(on_gpu[1], on_cpu[1])


@pytest.mark.parametrize("size", [1e-28, 1e-6, 1.0, 3e4, 1e30])
def test_float16_products_of_float32_queries(size: float, tmp_path: Path) -> None:
    """As exact as float32 ones: the error is what cutting a query into two halves leaves, far below the noise that is allowed for."""
    rng = np.random.default_rng(9)
    vectors = (rng.normal(size=(500, 384)) * rng.choice([1e-6, 1, 10], 384)).astype(np.float16)
    queries = (rng.normal(size=(20, 384)) * rng.choice([1e-5, 1, 30], 384) * size / 100).astype(np.float32)
    queries[3] = 0
    asked, block = torch.from_numpy(queries), torch.from_numpy(vectors)
    found = of_halves(asked, lambda halves: (halves.double() @ block.double().T).float())
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    allowed = noise(make_store(tmp_path, vectors.astype(np.float32)), queries)[:, None]
    assert found.dtype == torch.float32 and np.abs(exact).max() > size
    assert (np.abs(found.numpy() - exact) <= 0.1 * allowed).all()


@pytest.fixture(params=["highest", "high", "medium"])
def tf32(request: pytest.FixtureRequest) -> Iterator[None]:
    torch.set_float32_matmul_precision(request.param)
    torch.backends.cuda.matmul.allow_fp16_accumulation = request.param == "medium"
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_fp16_accumulation = False


@pytest.fixture(scope="module", params=["float32", "float16"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[VectorStore, np.ndarray, np.ndarray]:
    """100,000 vectors, 1,000 queries and their best 1,000 rows as the CPU finds them."""
    store = make_store(tmp_path_factory.mktemp("large"), close_vectors(100_000, 384), request.param, shard_bytes=32 << 20)
    queries = close_vectors(1000, 384, seed=10)
    return store, queries, ExactSearcher(store, lambda rows: -rows).search(queries, 1000)[1]


@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dimension", [768, 4096])
def test_products_of_halves_are_within_the_noise(dimension: int, where: str, tmp_path: Path, tf32: None) -> None:
    """Of vectors that are nearly parallel: all that is added up has one sign, and so may the errors. On a CPU by the same steps."""
    rng = np.random.default_rng(12)
    for name, direction in {"even": np.ones(dimension), "uneven": rng.normal(size=dimension)}.items():
        vectors = (direction + 0.01 * rng.normal(size=(1000, dimension))).astype(np.float16)
        queries = (direction + 0.01 * rng.normal(size=(100, dimension))).astype(np.float32)
        exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
        allowed = noise(make_store(tmp_path / name, vectors, "float16"), queries)[:, None]
        asked, block = torch.from_numpy(queries).to(where), torch.from_numpy(vectors).to(where)
        for count in (1, 16, 100):
            with exact_float32():
                found = inner_products(asked[:count], block) if where == "cuda" else of_halves(asked[:count], partial(_product, block))
            assert (np.abs(found.cpu().numpy() - exact[:count]) < allowed[:count]).all(), f"{name} {count}"


def _product(block_ND: torch.Tensor, halves_PD: torch.Tensor) -> torch.Tensor:
    return halves_PD.float() @ block_ND.float().T


@pytest.mark.gpu
@HOLD
def test_a_gpu_ranks_as_the_cpu_does(large: tuple[VectorStore, np.ndarray, np.ndarray], hold: bool, tf32: None) -> None:
    store, queries, expected = large
    vectors = DeviceVectors(store, "cuda:0", hold=hold)
    for count in (1, 16, 1000):
        for k in (10, 100, 1000):
            _, rows = DeviceSearcher(vectors, lambda rows: -rows).search(queries[:count], k)
            np.testing.assert_array_equal(rows, expected[:count, :k], err_msg=f"{count=} {k=}")


@pytest.mark.gpu
def test_several_gpus_rank_as_one(large: tuple[VectorStore, np.ndarray, np.ndarray]) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    store, queries, expected = large
    vectors = DeviceVectors(store, "cuda")
    assert len(vectors.resident) == torch.cuda.device_count()
    np.testing.assert_array_equal(DeviceSearcher(vectors, lambda rows: -rows).search(queries, 1000)[1], expected)


@pytest.mark.gpu
def test_a_gpu_that_others_have_filled(large: tuple[VectorStore, np.ndarray, np.ndarray], caplog: pytest.LogCaptureFixture) -> None:
    store, queries, expected = large
    vectors = DeviceVectors(store, "cuda:0", hold=True)
    searcher = DeviceSearcher(vectors, lambda rows: -rows, memory_budget=4 << 30)
    searcher.search(queries[:16], 10)  # the libraries take what they need
    torch.cuda.empty_cache()
    room = (350 if store.dtype == np.float32 else 700) << 20  # for a third of the scores; those of float16 vectors come in two parts
    filler = torch.empty(torch.cuda.mem_get_info("cuda:0")[0] - room, dtype=torch.uint8, device="cuda:0")
    assert not DeviceVectors(store, "cuda:0").resident
    np.testing.assert_array_equal(searcher.search(queries, 1000)[1], expected)
    assert len(filler) and "out of memory" in caplog.text
