"""Exact search of files that are many times its memory budget."""

from __future__ import annotations

import json
import multiprocessing
import re
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter

DIMENSION, ROWS = 384, 120_000
ALLOWANCE = 8
"""MiB beside the budget: what threads and libraries take when they first compute."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")


def anonymous() -> float:
    """MiB that this process holds, pages of files left out."""
    found = re.search(r"RssAnon:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) / 1024


def search(folder: Path, queries: np.ndarray, k: int, budget: int) -> tuple[np.ndarray, float]:
    """Rows found, and the most MiB that the search took meanwhile."""
    torch.set_num_threads(2)
    store = VectorStore(folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    searcher = ExactSearcher(store, lambda rows: -rows, memory_budget=budget)
    result = 12 * len(queries) * k / 2**20
    before, most, done = anonymous(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, rows = searcher.search(queries, k)
    done.set()
    watcher.join()
    return rows, most - before - result


def alone(*arguments: Any) -> tuple[np.ndarray, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(search, *arguments).result()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 MB; the second half are equal vectors."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    writer = VectorWriter(folder)
    for _ in range(5):
        writer.append(rng.standard_normal((ROWS // 10, DIMENSION), dtype=np.float32))
    writer.append(np.repeat(rng.standard_normal((1, DIMENSION), dtype=np.float32), ROWS // 2, axis=0))
    (folder / "manifest.json").write_text(json.dumps(writer.finish()), encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("count", "k", "budget"), [(1, 100, 1), (700, 1000, 32)])
def test_no_more_memory_than_the_budget(folder: Path, count: int, k: int, budget: int) -> None:
    store = VectorStore(folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((count, DIMENSION), dtype=np.float32)
    queries[::100] = store.get(np.array([ROWS - 1]))  # the equal vectors are the best
    rows, taken = alone(folder, queries, k, budget << 20)
    assert taken < budget + ALLOWANCE
    for query in (0, 1, count - 1) if count > 1 else (0,):
        scores = np.concatenate([block @ queries[query].astype(np.float64) for _, block in store.blocks(ROWS)]).astype(np.float32)
        expected = np.lexsort((-np.arange(ROWS), -scores))[:k]
        np.testing.assert_array_equal(rows[query], expected)
