"""Exact search compared with the alternatives.

Shapes: N vectors, Q queries, D dimensions, K hits.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ance_ir.errors import EvaluationError
from ance_ir.eval.bench.rounds import OURS, alternate_short, medians, ratio
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter

Search = Callable[[np.ndarray, int], np.ndarray]
"""From queries, float32 ``[Q, D]``, and k to the rows found, ``[Q, K]``."""

FAISS = "faiss"
_CHECKED = 8


def bench_search(
    *,
    vectors: int = 100_000,
    dimensions: Sequence[int] = (384, 768),
    queries: Sequence[int] = (1, 16, 64, 200, 1000),
    depths: Sequence[int] = (10, 100, 1000),
    rounds: int = 3,
    seed: int = 42,
    verbose: bool = False,
) -> pd.DataFrame:
    """Exact search over random float32 vectors: ours, Faiss's flat index as it comes, torch, numpy, and pyterrier_dr where it is installed.

    Ours reads the vectors from its files, as pyterrier_dr's numpy retriever does; all others hold them in memory. pyterrier_dr's retrievers
    take and make frames, the others arrays.

    Returns:
        A row for each dimension, number of queries and depth k: median milliseconds of each; ``ours ÷ best``, the best of the others;
        ``faiss ÷ ours``; ours' ``recall`` of what float64 products rank first. Ratios are medians over the rounds.

    Raises:
        EvaluationError: a contender did not find the best vectors.
    """
    rows = []
    with tqdm(total=len(dimensions) * len(queries) * len(depths), desc="search", unit=" settings", disable=not verbose) as bar:
        for dimension in dimensions:
            generator = np.random.default_rng(seed)
            corpus_ND = generator.standard_normal((vectors, dimension), dtype=np.float32)
            asked_QD = generator.standard_normal((max(queries), dimension), dtype=np.float32)
            exact_QN = asked_QD[:_CHECKED].astype(np.float64) @ corpus_ND.T.astype(np.float64)
            with tempfile.TemporaryDirectory() as folder:
                searches = _contenders(corpus_ND, Path(folder))
                for count, depth in itertools.product(queries, depths):
                    found = _measure(searches, asked_QD[:count], depth, exact_QN, rounds)
                    rows.append({"dimension": dimension, "queries": count, "k": depth, **found})
                    bar.update()
    return pd.DataFrame(rows)


def _measure(searches: Mapping[str, Search], queries_QD: np.ndarray, k: int, exact_QN: np.ndarray, rounds: int) -> dict[str, float]:
    recalls = {name: _recall(name, search(queries_QD, k), exact_QN) for name, search in searches.items()}
    seconds = alternate_short({name: partial(search, queries_QD, k) for name, search in searches.items()}, rounds)
    return {
        **{name: median * 1000 for name, median in medians(seconds).items()},
        "ours ÷ best": max(ratio(seconds, OURS, name) for name in searches if name != OURS),
        "faiss ÷ ours": ratio(seconds, FAISS, OURS),
        "recall": recalls[OURS],
    }


def left_out() -> str:
    """The part of a table's title that names contenders that are not installed; empty where all are."""
    return "" if find_spec("pyterrier_dr") else ", without pyterrier_dr (pip install pyterrier_dr)"


def _contenders(corpus_ND: np.ndarray, folder: Path) -> dict[str, Search]:
    writer = VectorWriter(folder)
    writer.append(corpus_ND)
    ours = ExactSearcher(VectorStore(folder, writer.finish()), lambda rows: rows)
    flat = faiss.IndexFlatIP(corpus_ND.shape[1])
    flat.add(corpus_ND)
    tensor = torch.from_numpy(corpus_ND)

    def search_numpy(queries_QD: np.ndarray, k: int) -> np.ndarray:
        scores = queries_QD @ corpus_ND.T
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)

    searches: dict[str, Search] = {
        OURS: lambda queries, k: ours.search(queries, k)[1],
        FAISS: lambda queries, k: flat.search(queries, k)[1],
        "torch": lambda queries, k: torch.topk(torch.from_numpy(queries) @ tensor.T, k, dim=1).indices.numpy(),
        "numpy": search_numpy,
    }
    return searches if left_out() else {**searches, **_pyterrier_dr(corpus_ND, folder / "flex")}


def _pyterrier_dr(corpus_ND: np.ndarray, folder: Path) -> dict[str, Search]:
    from pyterrier_dr import FlexIndex

    index = FlexIndex(str(folder), verbose=False)
    index.index({"docno": str(number), "doc_vec": vector} for number, vector in enumerate(corpus_ND))

    def search(retriever: Any, queries_QD: np.ndarray, k: int) -> np.ndarray:
        retriever.num_results = k
        frame = pd.DataFrame({"qid": [str(number) for number in range(len(queries_QD))], "query_vec": list(queries_QD)})
        found: np.ndarray = retriever(frame)["docid"].to_numpy().reshape(len(queries_QD), -1)
        return found

    retrievers = {"numpy": index.np_retriever(), "torch": index.torch_retriever(), "faiss": index.faiss_flat_retriever()}
    return {f"pyterrier_dr {name}": partial(search, retriever) for name, retriever in retrievers.items()}


def _recall(name: str, found_QK: np.ndarray, exact_QN: np.ndarray) -> float:
    """The share of the best vectors by exact scores that are among those found, for the first queries.

    Raises:
        EvaluationError: one of those found is not as good as the best, by more than float32 rounds, or was found twice.
    """
    found_QK, exact_QN = found_QK[: len(exact_QN)], exact_QN[: len(found_QK)]
    k = found_QK.shape[1]
    best_QK = np.argpartition(-exact_QN, k - 1, axis=1)[:, :k]
    least_Q = np.take_along_axis(exact_QN, best_QK, 1).min(1)
    scores_QK = np.take_along_axis(exact_QN, found_QK, 1)
    twice = any(len(np.unique(found)) < k for found in found_QK)
    if twice or (scores_QK.min(1) < least_Q - 1e-5 * np.abs(scores_QK).max(1)).any():
        raise EvaluationError(f"{name} did not find the {k} best vectors of every query; its times mean nothing")
    return float(np.mean([np.isin(best, found).mean() for best, found in zip(best_QK, found_QK, strict=True)]))
