"""Benchmarks: each contender in turn, several rounds, medians, the best of the others beside ours."""

from __future__ import annotations

import importlib
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ance_ir.datasets import Dataset
from ance_ir.errors import MissingDependencyError
from ance_ir.indexes.exact import ExactSearcher
from ance_ir.indexes.vectors import VectorStore, VectorWriter
from ance_ir.models import DenseEncoder

OURS = "ance_ir"
_BLOCK = 10_000


def alternate(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each contender; they run in turn, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in range(rounds + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if counted:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


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
                        medians = alternate(_searches(store, asked[:count], depth), rounds)
                        rows.append({"dimension": dimension, "queries": count, "k": depth, **_beside_the_best(medians, 1000)})
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


def bench_encode(
    dataset: Dataset, model: str, *, documents: int = 1000, length: int = 128, rounds: int = 3, device: str | None = None
) -> pd.DataFrame:
    """Encoding the first documents of a dataset: ours, sentence-transformers, a plain loop over batches of 32 in corpus order.

    Returns:
        One row: median seconds of each, ``ours ÷ best``, and our texts a second.

    Raises:
        MissingDependencyError: sentence-transformers is not installed.
    """
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise MissingDependencyError("sentence-transformers", "this benchmark", "pip install sentence-transformers") from error
    encoder = DenseEncoder.from_pretrained(model, device=device, passage_length=length)
    texts = [encoder.text.join(document) for _, document in zip(range(documents), dataset.documents(), strict=False)]
    with tempfile.TemporaryDirectory() as folder:
        encoder.save(Path(folder) / "model")
        other = library.SentenceTransformer(str(Path(folder) / "model"), device=str(encoder.device))
    tower, tokenizer = encoder.passage_tower, encoder.tokenizer.tokenizer

    @torch.inference_mode()
    def plain() -> None:
        for start in range(0, len(texts), 32):
            batch = tokenizer(texts[start : start + 32], truncation=True, max_length=length, padding=True, return_tensors="pt")
            tower(batch["input_ids"].to(encoder.device), batch["attention_mask"].to(encoder.device)).cpu()

    contenders = {OURS: lambda: encoder.encode_passages(texts), "sentence-transformers": lambda: other.encode(texts), "plain loop": plain}
    medians = alternate(contenders, rounds)
    return pd.DataFrame([{"texts": len(texts), **_beside_the_best(medians, 1), "texts/s": len(texts) / medians[OURS]}])


def _beside_the_best(medians: Mapping[str, float], scale: float) -> dict[str, float]:
    best = min(value for name, value in medians.items() if name != OURS)
    return {**{name: value * scale for name, value in medians.items()}, "ours ÷ best": medians[OURS] / best}
