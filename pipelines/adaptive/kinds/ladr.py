"""LADR, proactive: the neighbours of all documents of the first stage are scored too (Kulkarni et al., 2023)."""

from __future__ import annotations

import numpy as np

from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines.adaptive.base import AdaptiveRetriever, Exploration
from ance_ir.settings import integer
from ance_ir.transformers import labelled


class LADR(AdaptiveRetriever):
    """Lexically-accelerated dense retrieval, proactive (Kulkarni et al., SIGIR 2023).

    Args:
        index: scores documents; its corpus graph has their neighbours.
        model: encodes the queries of frames without ``query_vec``.
        num_results: documents a query.
        hops: how far from the documents of the first stage the neighbours are that are scored.
        neighbours: of a document, in the graph.
        graph_backend: how these are found; see ``AnceIndex.corpus_graph``.
        aggregation: how a document is scored by its passages; see ``DenseRetriever``.
        check: refuse a model other than the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: a setting is out of bounds.
    """

    schematic = labelled("LADR")
    parameters = ("hops",)
    hops = integer(1)

    def __init__(
        self,
        index: SearchableIndex,
        model: DenseEncoder,
        num_results: int = 1000,
        *,
        hops: int = 1,
        neighbours: int = 16,
        graph_backend: str = "exact",
        aggregation: str = "max",
        check: bool = True,
    ) -> None:
        self.hops = hops
        super().__init__(
            index, model, num_results, neighbours=neighbours, graph_backend=graph_backend, aggregation=aggregation, check=check
        )

    def _explore(self, exploration: Exploration, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = reached = np.unique(seeds)
        for _ in range(self.hops):
            reached = np.setdiff1d(exploration.neighbours(reached), found)
            found = np.union1d(found, reached)
        return found, exploration.scores(found)


ADAPTIVE = LADR
