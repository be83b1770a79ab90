"""Building a corpus graph of many vectors, and adaptive retrieval over it next to search: seconds, memory and recall.

Shapes: N vectors, Q queries, D dimensions, K hits.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ance_ir.eval.bench.adaptive import contenders, each_query
from ance_ir.eval.bench.rounds import alternate, medians
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.graph import checked_graph_backend
from ance_ir.models import DenseEncoder
from ance_ir.processes import watched_memory

SEARCH = "hnsw"
"""The family that adaptive retrieval is compared with, beside exact search."""

_BLOCK = 10_000
_K = 10
_NEAR, _FAR = 10, 90
"""Documents of the simulated first stage: from the best thousand, and from anywhere."""


def bench_corpus_graph(
    model: str,
    *,
    vectors: int = 100_000,
    queries: int = 200,
    neighbours: int = 16,
    backend: str = "exact",
    rounds: int = 3,
    seed: int = 42,
    verbose: bool = False,
) -> pd.DataFrame:
    """Build the graph of vectors that lie in clusters, and find the best 10 with it from the documents of a simulated first stage.

    The first stage finds 10 documents of a query's best thousand, drawn at random, and 90 from anywhere.

    Args:
        model: an encoder of as many dimensions as the vectors are to have; nothing is encoded.
        vectors: how many.
        queries: how many, each next to one of them.
        neighbours: of a document, in the graph.
        backend: how these are found; see ``AnceIndex.corpus_graph``.
        rounds: that count.
        seed: of the vectors.
        verbose: show progress.

    Returns:
        A row for the graph: ``seconds`` and the peak of memory in ``MiB``, without mapped files; and a row for each way to find the best:
        documents that are ``scored`` for a query, the share of the exact first 10 that is found, milliseconds of a query alone (medians of
        the rounds). NaN where this does not apply.

    Raises:
        UsageError: nothing finds neighbours by that name.
    """
    checked_graph_backend(backend)
    encoder, generator = DenseEncoder.from_pretrained(model, device="cpu", layers=0), np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        index = AnceIndex(Path(folder) / "x.ance", dtype="float16").index(_documents(vectors, encoder.dimension, generator))
        began = time.perf_counter()
        with watched_memory() as seen:
            index.corpus_graph(neighbours, backend=backend, verbose=verbose)
        rows: list[dict[str, Any]] = [
            {"part": f"graph, {backend}", "seconds": time.perf_counter() - began, "MiB": max(seen) - seen[0], "scored": np.nan}
        ]
        asked = _queries(index, queries, generator)
        found = index.retriever(encoder, 1000, check=False).transform(asked)
        first_stage = _first_stage(index, found, generator)
        searches = {"exact": index.retriever(encoder, _K, check=False), SEARCH: index.retriever(encoder, _K, backend=SEARCH, check=False)}
        scorers = contenders(index, encoder, neighbours, _NEAR + _FAR, backend)
        results = {name: stage.transform(asked) for name, stage in searches.items()}
        results |= {name: stage.transform(first_stage) for name, stage in scorers.items()}
        runs = {name: partial(each_query, stage, asked) for name, stage in searches.items()}
        runs |= {name: partial(each_query, stage, first_stage) for name, stage in scorers.items()}
        seconds = medians(alternate(runs, rounds))
    best = set(found.loc[found["rank"] < _K, ["qid", "docno"]].itertuples(index=False, name=None))
    for name, result in results.items():
        pairs = result.loc[result["rank"] < _K, ["qid", "docno"]].itertuples(index=False, name=None)
        shown = {"exact": float(vectors), SEARCH: np.nan}.get(name, len(result) / queries)
        share = len(best.intersection(pairs)) / len(best)
        rows.append({"part": name, "scored": shown, f"recall@{_K}": share, "ms, 1 query": 1000 * seconds[name] / queries})
    return pd.DataFrame(rows, columns=["part", "seconds", "MiB", "scored", f"recall@{_K}", "ms, 1 query"])


def _documents(count: int, dimension: int, generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Vectors of length 1 in clusters of about a hundred, which lie in larger ones."""
    coarse_CD = generator.standard_normal((max(1, count // 10_000), dimension), dtype=np.float32)
    fine = max(1, count // 100)
    fine_CD = coarse_CD[generator.integers(len(coarse_CD), size=fine)] + generator.standard_normal((fine, dimension), dtype=np.float32)
    for first in range(0, count, _BLOCK):
        size = min(_BLOCK, count - first)
        block_ND = fine_CD[generator.integers(fine, size=size)] + generator.standard_normal((size, dimension), dtype=np.float32)
        block_ND /= np.linalg.norm(block_ND, axis=1, keepdims=True)
        for number, vector in enumerate(block_ND, start=first):
            yield {"docno": f"d{number}", "doc_vec": vector}


def _queries(index: AnceIndex, count: int, generator: np.random.Generator) -> pd.DataFrame:
    """Queries next to documents: their vectors, moved by as much as they are long."""
    near_QD = index.vectors.get(generator.choice(len(index), count))
    moved_QD = near_QD + generator.standard_normal(near_QD.shape, dtype=np.float32) / np.sqrt(near_QD.shape[1], dtype=np.float32)
    return pd.DataFrame({"qid": [f"q{number}" for number in range(count)], "query_vec": list(moved_QD)})


def _first_stage(index: AnceIndex, found: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """What a first stage finds that knows no vectors: few of the documents of a search, and many others, in any order."""
    parts = []
    for _, results in found.groupby("qid", sort=False):
        near = results.iloc[generator.choice(len(results), _NEAR, replace=False)]
        others = generator.choice(len(index), _FAR, replace=False)
        far = near.iloc[np.zeros(_FAR, dtype=int)].assign(docno=index.docnos(others))
        parts.append(pd.concat([near, far]).drop_duplicates("docno"))
    stage = pd.concat(parts, ignore_index=True)
    return stage.assign(score=generator.permutation(len(stage)).astype(float))
