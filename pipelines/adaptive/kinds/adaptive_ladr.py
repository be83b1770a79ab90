"""LADR, adaptive: the neighbours of the best documents so far, until there are no new ones (Kulkarni et al., 2023)."""

from __future__ import annotations

import numpy as np

from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines.adaptive.base import AdaptiveRetriever, Exploration
from ance_ir.settings import integer
from ance_ir.transformers import labelled


class AdaptiveLADR(AdaptiveRetriever):
    """Lexically-accelerated dense retrieval, adaptive (Kulkarni et al., SIGIR 2023).

    The neighbours of the best ``depth`` documents are scored, again and again, until all neighbours of these are.

    Args:
        index: scores documents; its corpus graph has their neighbours.
        model: encodes the queries of frames without ``query_vec``.
        num_results: documents a query.
        depth: of how many documents, the best so far, the neighbours are scored.
        neighbours: of a document, in the graph.
        graph_backend: how these are found; see ``AnceIndex.corpus_graph``.
        aggregation: how a document is scored by its passages; see ``DenseRetriever``.
        check: refuse a model other than the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: a setting is out of bounds.
    """

    schematic = labelled("Adaptive LADR")
    parameters = ("depth",)
    depth = integer(1)

    def __init__(
        self,
        index: SearchableIndex,
        model: DenseEncoder,
        num_results: int = 1000,
        *,
        depth: int = 100,
        neighbours: int = 16,
        graph_backend: str = "exact",
        aggregation: str = "max",
        check: bool = True,
    ) -> None:
        self.depth = depth
        super().__init__(
            index, model, num_results, neighbours=neighbours, graph_backend=graph_backend, aggregation=aggregation, check=check
        )

    def _explore(self, exploration: Exploration, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, scores, followed = seeds, exploration.scores(seeds), np.empty(0, dtype=np.int64)
        while True:
            best = np.setdiff1d(found[exploration.ranked(found, scores)[: self.depth]], followed)
            new = np.setdiff1d(exploration.neighbours(best), found)
            if not len(new):
                return found, scores
            followed = np.union1d(followed, best)
            found, scores = np.concatenate([found, new]), np.concatenate([scores, exploration.scores(new)])


ADAPTIVE = AdaptiveLADR
