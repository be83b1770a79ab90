"""Retrieval by learned sparse vectors, in the one order of results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets import DocnoMap
from ance_ir.models import SparseEncoder
from ance_ir.pipelines.bm25.best import best_documents, places
from ance_ir.pipelines.bm25.documents import clean
from ance_ir.pipelines.bm25.engine import Found
from ance_ir.pipelines.sparse.impacts import Quantisation
from ance_ir.pipelines.sparse.pisa import Searcher
from ance_ir.ranking import check_queries, no_results
from ance_ir.settings import Setting, flag, having
from ance_ir.transformers import Retrieving, labelled

_QUERIES = 4096
"""Queries whose vectors are held at once."""


class SearchedIndex(Protocol):
    """The part of a ``SparseIndex`` that a retriever uses."""

    def __len__(self) -> int: ...

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The index's manifest; to read it checks that the index is complete."""

    @property
    def encoder(self) -> SparseEncoder:
        """The model that encodes queries."""

    @property
    def quantisation(self) -> Quantisation:
        """How the documents' weights became whole numbers."""

    @property
    def searcher(self) -> Searcher:
        """The index as PISA opened it."""

    @property
    def docnos(self) -> DocnoMap:
        """Document numbers to docnos."""

    @property
    def tie_order(self) -> np.ndarray:
        """Each document's place among those with its score, int64 ``[documents]``."""


class SparseRetriever(Retrieving):
    """Retrieves the best documents of a sparse index: those that share a term with the query, of a weight above 0 in both.

    The score is the dot product of the quantised vectors: whole numbers, multiplied by their steps.

    Args:
        index: where to search.
        num_results: documents a query, at most.
        verbose: show progress.

    Raises:
        IndexingError: there is no index.
    """

    schematic = labelled("Learned sparse")
    index: Setting[SearchedIndex] = having("a SparseIndex", "quantisation")
    verbose = flag()

    def __init__(self, index: SearchedIndex, num_results: int = 1000, *, verbose: bool = False) -> None:
        self.index = index
        self.num_results = num_results
        self.verbose = verbose

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: there must be an index."""
        _ = self.index.manifest

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search; the result has every column of the queries, ``docno``, ``score`` and ``rank``.

        Raises:
            UsageError: a query that is no string.
            FingerprintError: the model is not the one that encoded the documents.
        """
        pt.validate.query_frame(inp, extra_columns=["query"], context=self)
        queries = inp.drop(columns=["score", "rank"], errors="ignore")
        if inp.empty:
            return no_results(queries)
        check_queries(inp)
        texts = list(map(clean, inp["query"]))
        blocks = [self._search(texts[first : first + _QUERIES], first) for first in range(0, len(texts), _QUERIES)]
        found = Found(*(np.concatenate(column) for column in zip(*blocks, strict=True)))
        results = queries.iloc[found.rows].reset_index(drop=True)
        docnos = pd.Series(self.index.docnos.docnos(found.numbers), dtype=str)
        return results.assign(docno=docnos, score=found.scores.astype(np.float64), rank=places(found.rows))

    def _search(self, texts: list[str], first: int) -> Found:
        """The best documents of some queries, whose rows begin with ``first``."""
        impacts, steps = self.index.quantisation.of_queries(self.index.encoder.encode_queries(texts))
        units = steps * self.index.quantisation.step

        def search(asked: np.ndarray, k: int) -> Found:
            found = self.index.searcher.search(impacts[asked], k, verbose=self.verbose)
            return found._replace(scores=(found.scores * units[asked][found.rows]).astype(np.float32))

        found = best_documents(search, len(texts), self.num_results, self.index.tie_order)
        return found._replace(rows=found.rows + first)
