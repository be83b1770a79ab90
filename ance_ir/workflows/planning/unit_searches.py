"""Unit costs of searches, of Faiss files, and of what is done with results."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pandas as pd

from ance_ir.datasets import DocumentStore
from ance_ir.eval import evaluate
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.ann.build import build_faiss, open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.mining import Filters
from ance_ir.indexes.mining.allowed import DenseRanker
from ance_ir.indexes.mining.candidates import Candidates
from ance_ir.indexes.search.device import exact_searcher
from ance_ir.indexes.search.searcher import settled_scores
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter
from ance_ir.models import DenseEncoder
from ance_ir.training import TrainingQueries
from ance_ir.workflows.planning.measuring import Found, Stopwatch
from ance_ir.workflows.planning.searching import Searched

_INNER = 32
"""Dimensions in which random vectors differ, as those of texts do in few."""

_FEW, _MANY = 10, 200
"""Results of a query."""

_ASKED = 256


def search_costs(rows: int, encoder: DenseEncoder, folder: Path, watch: Stopwatch) -> Found:
    """Exact search of random vectors of the encoder's dimension."""
    store = random_vectors(rows, encoder.dimension, folder / "searched")
    queries_QD = store.get(np.arange(_ASKED))
    searcher = exact_searcher(store, lambda found: found, device=encoder.device)
    components = rows * encoder.dimension
    one, many, deep = (watch(searcher.search, queries_QD[:count], k) for count, k in ((1, _FEW), (_ASKED, _FEW), (_ASKED, _MANY)))
    return {
        "search.component": (one / components, 0.0),
        "search.product": (max(0.0, many - one) / (_ASKED - 1) / components, 0.0),
        "search.result": (max(0.0, deep - many) / (_ASKED * (_MANY - _FEW)), 0.0),
    }


def faiss_costs(rows: int, dimension: int, folder: Path, watch: Stopwatch) -> Found:
    """A graph and an inverted file, built and searched, and rows scored again."""
    store = random_vectors(rows, dimension, folder / "found")
    queries_QD = store.get(np.arange(_ASKED))
    found: Found = {}
    for backend in ("hnsw+sq8,rescore=0", "ivf+sq8,rescore=0"):
        searched, settings = Searched(rows=rows, dimension=store.dimension, backend=backend), parse_backend(backend)
        built = watch(build_faiss, store, folder / "found", settings)
        searcher = FaissSearcher(open_faiss(store, folder / "found", settings), store, lambda found: found, settings)
        asked = watch(searcher.search, queries_QD, _FEW)
        for seconds, counts in ((built, searched.building), (asked, searched.searching(_ASKED, _FEW))):
            ((name, count),) = counts.items()
            found[name] = seconds / count, 0.0
    query_n, rows_n = np.divmod(np.random.default_rng(1).integers(_ASKED * rows, size=_ASKED * _MANY), rows)
    again = watch(settled_scores, store, queries_QD, query_n, rows_n)
    return {**found, "search.pair": (again / (len(rows_n) * store.dimension), 0.0)}


def result_costs(index: AnceIndex, encoder: DenseEncoder, store: DocumentStore, queries: pd.DataFrame, watch: Stopwatch) -> Found:
    """What is done with each result of a search: for an evaluation, and for negatives."""
    qrels = pd.DataFrame({"qid": queries["qid"], "docno": "d0", "label": 1})
    vectors_QD = encoder.encode_queries(queries["query"].tolist())
    asked = queries.assign(query_vec=list(vectors_QD))
    own = [np.array([0], dtype=np.int64)] * len(queries)
    trained = TrainingQueries(
        qids=queries["qid"].tolist(), texts=queries["query"].tolist(), positives=own, excluded=own, documents=len(store)
    )

    def evaluated(depth: int) -> float:
        retriever = index.retriever(encoder, depth)
        return watch(lambda: evaluate(retriever.transform(asked), qrels))

    def mined(depth: int) -> float:
        ranker = DenseRanker(index, encoder, trained)
        everything = np.arange(len(trained))
        return watch(lambda: [Candidates.of(found, trained, store, Filters(), depth) for found in ranker.allowed(everything, depth)])

    pairs = len(queries) * (_MANY - _FEW)
    return {
        "evaluation.result": (max(0.0, evaluated(_MANY) - evaluated(_FEW)) / pairs, 0.0),
        "mining.candidate": (max(0.0, mined(_MANY) - mined(_FEW)) / pairs, 0.0),
    }


def random_vectors(rows: int, dimension: int, folder: Path) -> VectorStore:
    """Random vectors of length 1 that lie near a plane of few dimensions."""
    generator = np.random.default_rng(0)
    plane_RD = generator.standard_normal((_INNER, dimension), dtype=np.float32)
    vectors_ND = generator.standard_normal((rows, _INNER), dtype=np.float32) @ plane_RD
    vectors_ND += 0.1 * generator.standard_normal((rows, dimension), dtype=np.float32)
    faiss.normalize_L2(vectors_ND)
    folder.mkdir()
    writer = VectorWriter(folder)
    writer.append(vectors_ND)
    return VectorStore(folder, writer.finish())
