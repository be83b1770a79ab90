"""Exact search by processes on the nodes of a Ray cluster, each of which holds some of the shards.

Every query goes to all of them. Each answers with its best k rows in their settled order (``search.searcher``), so the best k of all are
among these; merged, they are settled again, across the shards. The ranking is that of one machine.

Shapes: Q queries, B of a block, D dimensions, K hits, H hits of all holders, S shards.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ance_ir.indexes.cluster.connection import connect, explained, not_seen, on_this_node
from ance_ir.indexes.search.device import exact_searcher
from ance_ir.indexes.search.searcher import VectorSearcher, order_hits, usable_queries
from ance_ir.indexes.store.snapshot import Snapshot
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.processes import usable_cpus

_HIT = 24
"""Bytes of a hit while it is merged: score and row, and both once more in their order."""


class ClusterSearcher:
    """A searcher of an index whose shards are held on the nodes of a cluster: on each of its GPUs, or on each node where none is asked for.

    A lost node's shards are opened again on another one, by Ray. The holders end with this searcher.

    Args:
        cluster: see ``cluster.connection``.
        opened: the index.
        first_passages: find only the first passage of each document.
        memory_budget: bytes, of each holder's search (see ``ExactSearcher``), and of the hits that are merged here.
        device: ``"cpu"``, or ``"cuda"`` for GPUs.

    Raises:
        UsageError: the text names no cluster.
        MissingDependencyError: Ray is not installed.
        IndexingError: no cluster answers, or a node does not see the index.
    """

    def __init__(self, cluster: str, opened: Snapshot, *, first_passages: bool, memory_budget: int, device: str) -> None:
        self.store = opened.vectors
        self._tie_order = opened.table.tie_order
        searchable = opened.table.first_passages if first_passages else opened.table.searchable
        self._findable = len(self.store) if searchable is None else int(np.count_nonzero(searchable))
        self._memory_budget = memory_budget
        self._ray = ray = connect(cluster)
        gpus = int(ray.cluster_resources().get("GPU", 0)) if device.startswith("cuda") else 0
        needed = {"num_gpus": 1, "num_cpus": 0} if gpus else {}  # without a GPU Ray counts no core as taken while a holder waits
        holder = ray.remote(max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD", **needed)(_Holder)
        rows_S = np.array([shard.rows for shard in self.store.shards])
        count = gpus or sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())
        owner_S = (np.cumsum(rows_S) - rows_S / 2) * count // max(1, len(self.store))
        shares = [slice(int(own[0]), int(own[-1]) + 1) for number in range(count) if len(own := np.flatnonzero(owner_S == number))]
        options = {"first_passages": first_passages, "memory_budget": memory_budget, "device": "cuda" if gpus else "cpu"}
        self._holders = [holder.remote(opened.folder.absolute(), opened.manifest, shards, **options) for shards in shares]
        with explained(ray):
            ray.get([one.open.remote() for one in self._holders])

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``min(k, rows that may be found)`` rows of each query; see ``VectorSearcher.search``."""
        queries_QD = usable_queries(self.store, queries_QD)
        k = min(k, self._findable)
        scores_QK, rows_QK = np.empty((len(queries_QD), k), dtype=np.float32), np.empty((len(queries_QD), k), dtype=np.int64)
        size = max(1, self._memory_budget // max(1, _HIT * k * len(self._holders)))
        for start in range(0, len(queries_QD) if k else 0, size):
            block = slice(start, start + size)
            scores_QK[block], rows_QK[block] = self._merged(queries_QD[block], k)
        return scores_QK, rows_QK

    def _merged(self, queries_BD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        sent = self._ray.put(queries_BD)
        with explained(self._ray):
            found = self._ray.get([holder.search.remote(sent, k) for holder in self._holders])
        scores_BH, rows_BH = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        scores_BH, rows_BH = order_hits(self.store, queries_BD, scores_BH, rows_BH, self._tie_order)
        return scores_BH[:, :k], rows_BH[:, :k]


class _Holder:
    """On a node: searches some shards, which follow one another, of an index."""

    def __init__(self, folder: Path, manifest: dict[str, Any], shards: slice, *, first_passages: bool, **options: Any) -> None:
        torch.set_num_threads(usable_cpus())  # Ray expects one, as it does not know how long this process waits
        self._folder = folder
        self._manifest = manifest
        self._shards = shards
        self._first_passages = first_passages
        self._options = options

    def open(self) -> None:
        """Map the shards, and refuse an index that is another than the searcher's."""
        with on_this_node():
            _ = self._searcher

    def search(self, queries_BD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As ``VectorSearcher.search``; rows are numbered as in the whole index."""
        with on_this_node():
            scores_BK, rows_BK = self._searcher.search(queries_BD, k)
        return scores_BK, rows_BK + self._row

    @cached_property
    def _row(self) -> int:
        """The first row."""
        return sum(shard["rows"] for shard in self._manifest["shards"][: self._shards.start])

    @cached_property
    def _searcher(self) -> VectorSearcher:
        opened = Snapshot.open(self._folder) if self._folder.is_dir() else None
        if opened is None or opened.manifest != self._manifest:
            raise not_seen(self._folder)
        store = VectorStore(self._folder, {**self._manifest, "shards": self._manifest["shards"][self._shards]})
        searchable = opened.table.first_passages if self._first_passages else opened.table.searchable
        own = slice(self._row, self._row + len(store))
        return exact_searcher(
            store,
            lambda rows: opened.table.tie_order(rows + self._row),
            searchable=None if searchable is None else searchable[own],
            **self._options,
        )
