"""An inverted file of a million vectors is built and searched in less memory than it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.indexes.ann.build import open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter
from ance_ir.processes import watched_memory
from tests.processes import CONTEXT

pytestmark = pytest.mark.large

ROWS, DIMENSION, BLOCK = 1_000_000, 384, 10_000
SETTINGS = parse_backend("ivf400")
"""Few lists, so that training is quick; its file takes 1.5 GiB."""


def _build(store: VectorStore, folder: Path, peak: Any) -> None:
    with watched_memory() as seen:
        open_faiss(store, folder, SETTINGS)
    peak.value = max(seen) - seen[0]


def _search(store: VectorStore, folder: Path, peak: Any) -> None:
    numbers = np.arange(0, ROWS, ROWS // 64)[:64]
    queries = store.get(numbers)
    with watched_memory() as seen:
        searcher = FaissSearcher(open_faiss(store, folder, SETTINGS), store, lambda rows: rows, SETTINGS)
        assert (searcher.search(queries, 100)[1][:, 0] == numbers).all()
    peak.value = max(seen) - seen[0]


def test_a_million_vectors(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    writer = VectorWriter(tmp_path)
    for _ in range(0, ROWS, BLOCK):
        writer.append(generator.standard_normal((BLOCK, DIMENSION), dtype=np.float32))
    store = VectorStore(tmp_path, writer.finish())
    peak = CONTEXT.Value("d", -1.0)
    for job, bar in ((_build, 1280), (_search, 64)):
        process = CONTEXT.Process(target=job, args=(store, tmp_path, peak))
        process.start()
        process.join()
        assert process.exitcode == 0
        print(f"{job.__name__}: {peak.value:.0f} MiB")
        assert peak.value < bar
