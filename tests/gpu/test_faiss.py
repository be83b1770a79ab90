"""Faiss on a GPU, where the Faiss that is installed has one."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from ance_ir.indexes.ann.build import open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["flat", "ivf,nprobe=999", "sq8,rescore=3000"])
def test_it_finds_what_it_finds_on_a_cpu(tmp_path: Path, backend: str) -> None:
    if not getattr(faiss, "get_num_gpus", int)():
        pytest.skip("this Faiss has no GPU (CONTRIBUTING.md says how to get one that has)")
    rng = np.random.default_rng(0)
    writer = VectorWriter(tmp_path)
    writer.append(rng.normal(size=(3000, 48)).astype(np.float32))
    store, asked = VectorStore(tmp_path, writer.finish()), rng.normal(size=(20, 48)).astype(np.float32)
    found = []
    for device in ("cpu", "cuda"):
        file = open_faiss(store, tmp_path / "faiss", parse_backend(backend), device=device)
        assert (file.on_gpu is not None) == (device == "cuda")
        found.append(FaissSearcher(file, store, lambda rows: rows, parse_backend(backend), None).search(asked, 10))
    np.testing.assert_array_equal(found[0][1], found[1][1])
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
