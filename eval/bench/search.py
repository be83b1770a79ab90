"""Exact search beside the alternatives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ance_ir.eval.bench.rounds import OURS, alternate, medians
from ance_ir.indexes.exact import ExactSearcher
from ance_ir.indexes.vectors import VectorStore, VectorWriter

_BLOCK = 10_000


def bench_search(
    *,
    vectors: int = 100_000,
    dimensions: Sequence[int] = (384, 768),
    queries: Sequence[int] = (1, 16, 64, 200),
    depths: Sequence[int] = (10, 100, 1000),
    rounds: int = 5,
    seed: int = 42,
    verbose: bool = False,
) -> pd.DataFrame:
    """Exact search over random vectors: ours, Faiss as it comes, torch, numpy.

    Returns:
        A row for each dimension, number of queries and depth k: median milliseconds of each, and ``ours ÷ best``, the best of the others.
    """
    rows = []
    with tqdm(total=len(dimensions) * len(queries) * len(depths), desc="search", unit=" settings", disable=not verbose) as bar:
        for dimension in dimensions:
            with tempfile.TemporaryDirectory() as folder:
                generator = np.random.default_rng(seed)
                writer = VectorWriter(Path(folder))
                for start in range(0, vectors, _BLOCK):
                    writer.append(generator.standard_normal((min(_BLOCK, vectors - start), dimension), dtype=np.float32))
                store = VectorStore(Path(folder), writer.finish())
                asked = generator.standard_normal((max(queries), dimension), dtype=np.float32)
                for count in queries:
                    for depth in depths:
                        found = medians(alternate(_searches(store, asked[:count], depth), rounds))
                        rows.append({"dimension": dimension, "queries": count, "k": depth, **_beside_the_best(found)})
                        bar.update()
    return pd.DataFrame(rows)


def _searches(store: VectorStore, queries: np.ndarray, depth: int) -> dict[str, Callable[[], Any]]:
    everything = store.get(np.arange(len(store)))
    flat = faiss.IndexFlatIP(store.dimension)
    flat.add(everything)
    ours = ExactSearcher(store, lambda rows: rows)
    tensor, asked = torch.from_numpy(everything), torch.from_numpy(queries)

    def numpy_search() -> None:
        scores = queries @ everything.T
        best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)

    return {
        OURS: lambda: ours.search(queries, depth),
        "faiss": lambda: flat.search(queries, depth),
        "torch": lambda: torch.topk(asked @ tensor.T, depth, dim=1),
        "numpy": numpy_search,
    }


def _beside_the_best(medians: Mapping[str, float]) -> dict[str, float]:
    best = min(value for name, value in medians.items() if name != OURS)
    return {**{name: value * 1000 for name, value in medians.items()}, "ours ÷ best": medians[OURS] / best}
