"""Base of adaptive retrieval: from the documents of a first stage to those that its kind finds in the corpus graph.

Shapes: D dimensions, N documents.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.errors import DocumentNotFoundError
from ance_ir.indexes.graph import MOST_NEIGHBOURS, checked_graph_backend, graph_of, neighbours_of
from ance_ir.indexes.retriever import DenseTransformer
from ance_ir.indexes.search.aggregation import Aggregation, parse_aggregation
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.models import DenseEncoder
from ance_ir.progress import Told
from ance_ir.ranking import no_results
from ance_ir.settings import integer, text
from ance_ir.transformers import Retrieving, query_columns


@dataclass(frozen=True, kw_only=True, eq=False)
class Exploration:
    """What a kind may ask while it finds the documents of a query; documents are numbers of the index, int64 ``[N]``."""

    index: SearchableIndex
    graph: Any
    query_1D: np.ndarray
    aggregation: Aggregation

    def neighbours(self, documents: np.ndarray) -> np.ndarray:
        """The neighbours of documents, int64 ``[N, k]``, the nearest first."""
        return neighbours_of(self.index, self.graph, documents)

    def scores(self, documents: np.ndarray) -> np.ndarray:
        """Scores of documents, float32 ``[N]``."""
        queries_ND = np.broadcast_to(self.query_1D, (len(documents), self.query_1D.shape[1]))
        return self.index.document_scores(queries_ND, documents, self.aggregation)

    def tie_order(self, documents: np.ndarray) -> np.ndarray:
        """Sort keys, int64 ``[N]``: of two documents with equal scores the one with the smaller key comes first."""
        return self.index.table.tie_order(self.index.table.rows(documents)[0])

    def ranked(self, documents: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """The places of documents from the best to the last, int64 ``[N]``."""
        order: np.ndarray = np.lexsort((self.tie_order(documents), -scores))
        return order


class AdaptiveRetriever(Retrieving, DenseTransformer):
    """Base of adaptive retrieval over a dense index.

    Results have the columns of queries, whose names begin with ``q``: found documents bring no others.

    Attributes:
        parameters: what a system may set, in this order: ``adaptive=gar:100,16``.
    """

    parameters: ClassVar[tuple[str, ...]]

    neighbours = integer(1, MOST_NEIGHBOURS)
    graph_backend = text(checked_graph_backend)

    def __init__(
        self,
        index: SearchableIndex,
        model: DenseEncoder,
        num_results: int,
        *,
        neighbours: int,
        graph_backend: str,
        aggregation: str,
        check: bool,
    ) -> None:
        self.num_results = num_results
        self.neighbours = neighbours
        self.graph_backend = graph_backend
        super().__init__(index, model, aggregation=aggregation, check=check)

    def prepare(self, index: SearchableIndex | None = None, *, verbose: bool = False, told: Told | None = None) -> None:
        """Open the corpus graph, which is built first if there is none; the first query does so otherwise. No documents have no graph.

        Args:
            index: another state of the index, which is to take its place.
            verbose: show progress.
            told: is told the progress, in documents.
        """
        device, opened = str(self.model.device), self.index if index is None else index
        if len(opened):
            graph_of(opened, self.neighbours, backend=self.graph_backend, device=device, verbose=verbose, told=told)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Find and rank documents; the result has the columns of queries, ``docno``, ``score`` and ``rank``.

        Raises:
            DocumentNotFoundError: the index does not hold a document of the input.
        """
        self._validate(inp)
        columns = query_columns(inp)
        if inp.empty:
            return no_results(inp[columns])
        query_n, _ = pd.factorize(inp["qid"])
        queries = inp.iloc[np.unique(query_n, return_index=True)[1]]
        vectors_QD = self._query_vectors(queries)
        ordered = np.lexsort((self._order(inp), query_n))
        starts = np.flatnonzero(np.diff(query_n[ordered])) + 1
        numbers_n = self._numbers(inp)[ordered]
        graph = graph_of(self.index, self.neighbours, backend=self.graph_backend, device=str(self.model.device))
        found = []
        for place, seeds in enumerate(np.split(numbers_n, starts)):
            exploration = Exploration(
                index=self.index, graph=graph, query_1D=vectors_QD[place, None], aggregation=parse_aggregation(self.aggregation)
            )
            documents, scores = self._explore(exploration, _distinct(seeds))
            best = exploration.ranked(documents, scores)[: self.num_results]
            found.append((documents[best], scores[best]))
        counts = [len(documents) for documents, _ in found]
        return (
            queries[columns]
            .iloc[np.repeat(np.arange(len(queries)), counts)]
            .reset_index(drop=True)
            .assign(
                docno=self.index.docnos(np.concatenate([documents for documents, _ in found])),
                score=np.concatenate([scores for _, scores in found]).astype(np.float64),
                rank=np.concatenate([np.arange(count) for count in counts]),
            )
        )

    @abstractmethod
    def _explore(self, exploration: Exploration, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Documents and their scores, in any order, none twice.

        Args:
            exploration: of the query.
            seeds: the documents of the first stage, int64 ``[N]``, at least one, in its order if ``_order`` says so.
        """

    def _validate(self, inp: pd.DataFrame) -> None:
        with pt.validate.any(inp, context=self) as mode:
            mode.result_frame(extra_columns=["query_vec"])
            mode.result_frame(extra_columns=["query"])

    def _order(self, inp: pd.DataFrame) -> np.ndarray:
        """Keys by which the rows of a query are sorted; as they come, by default."""
        return np.arange(len(inp))

    def _numbers(self, inp: pd.DataFrame) -> np.ndarray:
        docnos = [str(docno) for docno in inp["docno"]]
        numbers = self.index.numbers(docnos)
        unknown = np.flatnonzero(numbers < 0)
        if len(unknown):
            raise DocumentNotFoundError(
                f"{self.index.folder} does not hold {len({docnos[row] for row in unknown})} of the documents, e.g. {docnos[unknown[0]]!r}, "
                "and its graph has no neighbours of them; the first stage must search the same documents"
            )
        return numbers


def _distinct(documents: np.ndarray) -> np.ndarray:
    """Documents without repetitions, each at its first place."""
    distinct: np.ndarray = documents[np.sort(np.unique(documents, return_index=True)[1])]
    return distinct
