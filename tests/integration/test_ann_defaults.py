"""Families of Faiss indexes find .95 of the exact first 100 by default, whatever the number of vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ance_ir.indexes.ann.build import open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter

INNER, K, QUERIES = 24, 100, 100
FAMILIES = ["hnsw", "hnsw+sq8", "ivf", "ivf+sq8", "ivf+rabitq", "ivf+pq"]


def _store(folder: Path, rows: int, dimension: int) -> VectorStore:
    """Vectors of length 1 in clusters that overlap, which differ in few dimensions, as those of texts do."""
    rng = np.random.default_rng(0)
    plane_ID = rng.normal(size=(INNER, dimension)).astype(np.float32)
    centres_CI = rng.normal(size=(max(1, rows // 100), INNER)).astype(np.float32)
    writer = VectorWriter(folder)
    for start in range(0, rows, 50_000):
        some = rng.integers(0, len(centres_CI), min(50_000, rows - start))
        inner = centres_CI[some] + rng.normal(size=(len(some), INNER)).astype(np.float32)
        vectors = inner @ plane_ID + rng.normal(size=(len(some), dimension)).astype(np.float32)
        writer.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return VectorStore(folder, writer.finish())


@pytest.mark.parametrize(
    ("rows", "dimension"),
    [
        (3000, 32),
        pytest.param(30_000, 64, marks=pytest.mark.slow),
        pytest.param(1_000_000, 384, marks=pytest.mark.large),
    ],
)
def test_defaults_find_nearly_all(rows: int, dimension: int, tmp_path: Path) -> None:
    store = _store(tmp_path, rows, dimension)
    queries = store.get(np.arange(0, rows, rows // QUERIES)[:QUERIES])
    queries = queries + np.random.default_rng(1).normal(size=queries.shape).astype(np.float32) * 0.5 / np.sqrt(dimension)
    exact = ExactSearcher(store, lambda found: found).search(queries, K)[1]
    recall = {}
    for family in FAMILIES:
        settings = parse_backend(family)
        found = FaissSearcher(open_faiss(store, tmp_path, settings), store, lambda found: found, settings).search(queries, K)[1]
        recall[family] = float(np.mean([np.isin(right, some).mean() for right, some in zip(exact, found, strict=True)]))
    print({family: round(share, 4) for family, share in recall.items()})
    assert {family: share for family, share in recall.items() if share < 0.95} == {}
