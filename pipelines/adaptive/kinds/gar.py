"""GAR: batches from the first stage and from the neighbours of the best documents take turns (MacAvaney et al., 2022)."""

from __future__ import annotations

import heapq
from collections import deque

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines.adaptive.base import AdaptiveRetriever, Exploration
from ance_ir.ranking import rank_results
from ance_ir.settings import integer
from ance_ir.transformers import labelled


class GAR(AdaptiveRetriever):
    """Graph-based adaptive reranking (MacAvaney et al., CIKM 2022), as pyterrier_dr does it over its own index.

    A place of a batch may be taken by a document that another place has scored: the batch is smaller then.

    Args:
        index: scores documents; its corpus graph has their neighbours.
        model: encodes the queries of frames without ``query_vec``.
        num_results: documents a query, of those that were scored.
        budget: documents that are scored for a query.
        batch_size: documents that are scored before it is the others' turn.
        neighbours: of a document, in the graph.
        graph_backend: how these are found; see ``AnceIndex.corpus_graph``.
        aggregation: how a document is scored by its passages; see ``DenseRetriever``.
        check: refuse a model other than the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: a setting is out of bounds.
    """

    schematic = labelled("GAR")
    parameters = ("budget", "batch_size")
    budget = integer(1)
    batch_size = integer(1)

    def __init__(
        self,
        index: SearchableIndex,
        model: DenseEncoder,
        num_results: int = 1000,
        *,
        budget: int = 1000,
        batch_size: int = 128,
        neighbours: int = 16,
        graph_backend: str = "exact",
        aggregation: str = "max",
        check: bool = True,
    ) -> None:
        self.budget = budget
        self.batch_size = batch_size
        super().__init__(
            index, model, num_results, neighbours=neighbours, graph_backend=graph_backend, aggregation=aggregation, check=check
        )

    def _validate(self, inp: pd.DataFrame) -> None:
        with pt.validate.any(inp, context=self) as mode:
            mode.result_frame(extra_columns=["score", "query_vec"])
            mode.result_frame(extra_columns=["score", "query"])

    def _order(self, inp: pd.DataFrame) -> np.ndarray:
        places = rank_results(inp[["qid", "docno", "score"]].assign(row=np.arange(len(inp))))["row"].to_numpy()
        return np.argsort(places)

    def _explore(self, exploration: Exploration, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores: dict[int, float] = {}
        waiting, frontier = deque(seeds.tolist()), _Frontier(exploration)
        first_stage = True
        while len(scores) < self.budget and (waiting or frontier):
            size = min(self.batch_size, self.budget - len(scores))
            batch = _take(waiting, size, scores) if first_stage else frontier.take(size, scores)
            if batch:
                documents = np.array(batch, dtype=np.int64)
                found = exploration.scores(documents)
                scores.update(zip(batch, found.tolist(), strict=True))
                frontier.add(documents, found)
            first_stage = not first_stage
        return np.array([*scores], dtype=np.int64), np.array([*scores.values()], dtype=np.float32)


def _take(waiting: deque[int], size: int, scored: dict[int, float]) -> list[int]:
    batch: list[int] = []
    while len(batch) < size and waiting:
        document = waiting.popleft()
        if document not in scored:
            batch.append(document)
    return batch


class _Frontier:
    """The neighbours of documents that were scored, those of the best document first."""

    def __init__(self, exploration: Exploration) -> None:
        self._exploration = exploration
        self._heap: list[tuple[float, int, list[int]]] = []
        self._next: deque[int] = deque()

    def __bool__(self) -> bool:
        return bool(self._heap or self._next)

    def add(self, documents: np.ndarray, scores: np.ndarray) -> None:
        """Documents that were scored."""
        neighbours = self._exploration.neighbours(documents).tolist()
        for one in zip((-scores).tolist(), self._exploration.tie_order(documents).tolist(), neighbours, strict=True):
            heapq.heappush(self._heap, one)

    def take(self, size: int, scored: dict[int, float]) -> list[int]:
        """So many of their neighbours, if there are; a document may come twice."""
        batch: list[int] = []
        while len(batch) < size and self:
            if self._next:
                batch.append(self._next.popleft())
            else:
                self._next.extend(one for one in heapq.heappop(self._heap)[2] if one not in scored)
        return batch


ADAPTIVE = GAR
