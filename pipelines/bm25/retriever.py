"""Retrieval with BM25 and RM3: the order of results and ties at the cut-off are the same for all engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets import DocnoMap
from ance_ir.errors import UsageError
from ance_ir.pipelines.bm25.best import best_documents, places
from ance_ir.pipelines.bm25.documents import clean
from ance_ir.pipelines.bm25.engine import K1, RM3, B, Expander, Found, Searcher
from ance_ir.ranking import no_results
from ance_ir.settings import Setting, flag, having, number, of_kind_or_none
from ance_ir.transformers import Retrieving, labelled


class SearchedIndex(Protocol):
    """The part of a ``BM25Index`` that a retriever uses."""

    engine: str
    stemmer: str
    language: str

    def __len__(self) -> int: ...

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The index's manifest; to read it checks that the index is complete."""

    @property
    def has_rm3(self) -> bool:
        """Whether its engine has RM3."""

    @property
    def searcher(self) -> Searcher:
        """The index as its engine opened it."""

    @property
    def docnos(self) -> DocnoMap:
        """Document numbers to docnos."""

    @property
    def tie_order(self) -> np.ndarray:
        """Each document's place among those with its score, int64 ``[documents]``."""


class BM25Retriever(Retrieving):
    """Retrieves the best documents of a BM25 index: those that share a word with the query.

    Args:
        index: where to search.
        num_results: documents a query, at most.
        k1: saturation of term frequencies.
        b: normalisation by document length, 0 to 1.
        rm3: expands the queries with words of their first results, and searches again.
        verbose: show progress.

    Raises:
        IndexingError: there is no index.
        UsageError: a parameter is out of range, or the engine has no RM3.
    """

    schematic = labelled("BM25")
    index: Setting[SearchedIndex] = having("a BM25Index", "has_rm3")
    k1 = number(0)
    b = number(0, 1)
    rm3 = of_kind_or_none(RM3)
    verbose = flag()

    def __init__(
        self,
        index: SearchedIndex,
        num_results: int = 1000,
        k1: float = K1,
        b: float = B,
        *,
        rm3: RM3 | None = None,
        verbose: bool = False,
    ) -> None:
        self.index = index
        self.num_results = num_results
        self.k1 = k1
        self.b = b
        self.rm3 = rm3
        self.verbose = verbose

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: there must be an index, and its engine must have RM3 if that is set."""
        if self.rm3 is not None and not self.index.has_rm3:
            raise UsageError(f'the engine {self.index.engine} has no RM3: build the index with engine="lucene"')
        if changed in (None, "index"):
            _ = self.index.manifest

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search; the result has every column of the queries, ``docno``, ``score`` and ``rank``.

        Raises:
            UsageError: a query that is no string.
        """
        pt.validate.query_frame(inp, extra_columns=["query"], context=self)
        queries = inp.drop(columns=["score", "rank"], errors="ignore")
        if inp.empty:
            return no_results(queries)
        texts = [_clean(qid, query) for qid, query in zip(inp["qid"], inp["query"], strict=True)]
        if self.rm3 is None:
            found = self._search(texts, self.num_results)
        else:
            first = self._search(texts, self.rm3.fb_docs)
            found = self._search(cast(Expander, self.index.searcher).expand(texts, first, self.rm3, self.k1, self.b), self.num_results)
        results = queries.iloc[found.rows].reset_index(drop=True)
        docnos = pd.Series(self.index.docnos.docnos(found.numbers), dtype=str)
        return results.assign(docno=docnos, score=found.scores.astype(np.float64), rank=places(found.rows))

    def _search(self, queries: Sequence[Any], num_results: int) -> Found:
        """The first ``num_results`` documents of each query, in the one order of results."""

        def search(asked: np.ndarray, k: int) -> Found:
            return self.index.searcher.search([queries[row] for row in asked.tolist()], k, self.k1, self.b, verbose=self.verbose)

        return best_documents(search, len(queries), num_results, self.index.tie_order)


def _clean(qid: str, query: object) -> str:
    """A query that every engine can take: UTF-8 without NUL.

    Raises:
        UsageError: it is no string.
    """
    if not isinstance(query, str):
        raise UsageError(f"query {qid} must be a string, found {query!r}")
    return clean(query.replace("\0", " "))
