"""Contenders of approximate search: ours, and Faiss, hnswlib and usearch as they come, each in a process of its own.

Shapes: N vectors, Q queries, D dimensions, K hits.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from ance_ir.eval.bench.rounds import OURS
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.ann.build import open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.optional import optional
from ance_ir.processes import watched_memory

Search = Callable[[np.ndarray, int, int], np.ndarray]
"""From queries, float32 ``[Q, D]``, k and effort to the rows found, int64 ``[Q, K]``."""

_BLOCK = 1 << 14


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way of approximate search.

    Attributes:
        build: makes an index of vectors in memory or, ours, next to them; returns how to search it, and bytes of its files.
        effort: what is raised until enough is found; a search that holds candidates holds k at least.
    """

    build: Callable[[VectorStore, Path], tuple[Search, int]]
    effort: str


@dataclass(frozen=True, kw_only=True)
class Built:
    """What building took: seconds, and MiB of memory at its peak and, with files that it maps, while searching."""

    seconds: float
    peak: float
    memory: float


def _ours(family: str) -> Contender:
    settings = parse_backend(family)
    option = "nprobe" if settings.inverted else "ef_search"

    def build(store: VectorStore, folder: Path) -> tuple[Search, int]:
        file = open_faiss(store, folder, settings)

        def search(queries_QD: np.ndarray, k: int, effort: int) -> np.ndarray:
            asked: Any = {option: effort}
            return FaissSearcher(file, store, lambda rows: rows, replace(settings, **asked)).search(queries_QD, k)[1]

        return search, file.size

    return Contender(build=build, effort="nprobe" if settings.inverted else "efSearch")


def _faiss(factory: str) -> Contender:
    inverted = factory.startswith("IVF")

    def build(store: VectorStore, folder: Path) -> tuple[Search, int]:
        vectors_ND = _in_memory(store)
        lists = round(4 * math.sqrt(len(store)))
        index = faiss.index_factory(store.dimension, factory.format(lists), faiss.METRIC_INNER_PRODUCT)
        index.train(vectors_ND)
        index.add(vectors_ND)

        def search(queries_QD: np.ndarray, k: int, effort: int) -> np.ndarray:
            parameters = faiss.SearchParametersIVF(nprobe=effort) if inverted else faiss.SearchParametersHNSW(efSearch=effort)
            found: np.ndarray = index.search(queries_QD, k, params=parameters)[1]
            return found

        return search, 0

    return Contender(build=build, effort="nprobe" if inverted else "efSearch")


def _build_hnswlib(store: VectorStore, folder: Path) -> tuple[Search, int]:
    index = _library("hnswlib").Index(space="ip", dim=store.dimension)
    index.init_index(max_elements=len(store))
    for first, vectors in store.blocks(_BLOCK):
        index.add_items(vectors, np.arange(first, first + len(vectors)))

    def search(queries_QD: np.ndarray, k: int, effort: int) -> np.ndarray:
        index.set_ef(effort)
        return np.asarray(index.knn_query(queries_QD, k=k)[0], dtype=np.int64)

    return search, 0


def _build_usearch(store: VectorStore, folder: Path) -> tuple[Search, int]:
    index = _library("usearch.index").Index(ndim=store.dimension, metric="ip")
    for first, vectors in store.blocks(_BLOCK):
        index.add(np.arange(first, first + len(vectors)), np.asarray(vectors, dtype=np.float32))

    def search(queries_QD: np.ndarray, k: int, effort: int) -> np.ndarray:
        index.expansion_search = effort
        return np.asarray(index.search(queries_QD, k).keys, dtype=np.int64).reshape(len(queries_QD), -1)

    return search, 0


def _library(module: str) -> Any:
    return optional(module, needed_for="this benchmark", remedy="pip install 'ance_ir[ann]'")


def _in_memory(store: VectorStore) -> np.ndarray:
    vectors_ND = np.empty((len(store), store.dimension), dtype=np.float32)
    for first, vectors in store.blocks(_BLOCK):
        vectors_ND[first : first + len(vectors)] = vectors
    return vectors_ND


CONTENDERS: Mapping[str, Contender] = {
    **{f"{OURS} {family}": _ours(family) for family in ("hnsw", "hnsw+sq8", "ivf", "ivf+sq8", "ivf+rabitq")},
    **{f"faiss {factory.format('')}": _faiss(factory) for factory in ("HNSW32,Flat", "HNSW32,SQ8", "IVF{},Flat", "IVF{},SQ8")},
    "hnswlib": Contender(build=_build_hnswlib, effort="ef"),
    "usearch": Contender(build=_build_usearch, effort="expansion_search"),
}


_held: dict[str, Search] = {}
"""What this process searches."""


def build(name: str, index: Path) -> Built:
    """Build a contender in this process, where it stays."""
    store = AnceIndex(index).vectors
    scratch = tempfile.mkdtemp(dir=index.parent)
    with watched_memory() as seen:
        began = time.perf_counter()
        _held["search"], size = CONTENDERS[name].build(store, Path(scratch))
        seconds = time.perf_counter() - began
    return Built(seconds=seconds, peak=max(seen) - seen[0], memory=seen[-1] - seen[0] + size / 2**20)


def search(queries_QD: np.ndarray, k: int, effort: int) -> np.ndarray:
    """The rows that the contender of this process finds, int64 ``[Q, K]``."""
    return _held["search"](queries_QD, k, effort)


def seconds_of(queries_QD: np.ndarray, k: int, effort: int, alone: bool) -> float:
    """Seconds of a search for all queries, or of one query, the median over all."""
    parts = np.split(queries_QD, len(queries_QD)) if alone else [queries_QD]
    taken = []
    for part in parts:
        began = time.perf_counter()
        search(part, k, effort)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
