"""PyTerrier transformers over an index: the dense retriever and the dense scorer."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.errors import DocumentNotFoundError, IndexingError
from ance_ir.indexes.ann.settings import checked_backend
from ance_ir.indexes.passages import FirstP, parse_passages
from ance_ir.indexes.search.aggregation import First, parse_aggregation
from ance_ir.indexes.search.exact import MEMORY_BUDGET
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.transformers import query_vectors
from ance_ir.models.text.settings import Text
from ance_ir.ragged import rows_of, starts_of
from ance_ir.ranking import finite_scores, given_vectors, no_results, rank_results
from ance_ir.settings import flag, integer, of_kind, text
from ance_ir.transformers import Configured, Retrieving


class DenseTransformer(Configured, pt.Transformer):
    """Base of transformers over an index and the model that made it."""

    index = of_kind(SearchableIndex)
    model = of_kind(DenseEncoder)
    aggregation = text(lambda name: str(parse_aggregation(name)))
    check = flag()

    def __init__(self, index: SearchableIndex, model: DenseEncoder, *, aggregation: str, check: bool) -> None:
        self.index = index
        self.model = model
        self.aggregation = aggregation
        self.check = check

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: the model must be the index's."""
        if self.check and changed in (None, "index", "model", "check"):
            self.index.check_model(self.model)

    def _query_vectors(self, frame: pd.DataFrame) -> np.ndarray:
        """A vector for each row, ``[len(frame), D]``: ``query_vec`` where the frame has it, ``query`` encoded otherwise, each text once."""
        dimension = self.index.vectors.dimension
        if "query_vec" in frame.columns:
            return given_vectors(frame, dimension)
        if self.model.dimension != dimension:
            raise IndexingError(
                f"{self.index.folder} holds vectors of {dimension} dimensions, those of {self.model.name} have {self.model.dimension}"
            )
        return query_vectors(self.model, frame)


class DenseRetriever(Retrieving, DenseTransformer):
    """Queries (``query`` or ``query_vec``) to the best documents of an index.

    Args:
        index: the index to search.
        model: encodes the queries.
        num_results: documents a query.
        backend: ``"exact"``, ``"tuned"`` or a family of Faiss indexes; see ``SearchableIndex.searcher``.
        aggregation: how a document is scored by its passages: ``max``, ``mean``, ``sum:N`` (of the best N) or ``first``.
        memory_budget: bytes, of exact search; see ``ExactSearcher``.
        check: refuse a model other than the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: there is no such aggregation.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "Dense retriever", "help_url": None}
    backend = text(checked_backend)
    memory_budget = integer(1)

    def __init__(
        self,
        index: SearchableIndex,
        model: DenseEncoder,
        num_results: int = 1000,
        *,
        backend: str = "exact",
        aggregation: str = "max",
        memory_budget: int = MEMORY_BUDGET,
        check: bool = True,
    ) -> None:
        self.num_results = num_results
        self.backend = backend
        self.memory_budget = memory_budget
        super().__init__(index, model, aggregation=aggregation, check=check)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search; the result has every column of the queries, ``docno``, ``score`` and ``rank``."""
        with pt.validate.any(inp, context=self) as mode:
            mode.query_frame(extra_columns=["query_vec"])
            mode.query_frame(extra_columns=["query"])
        queries = inp.drop(columns=["score", "rank"], errors="ignore")
        if inp.empty:
            return no_results(queries)
        aggregation = parse_aggregation(self.aggregation)
        searcher = self.index.searcher(
            self.backend,
            first_passages=isinstance(aggregation, First),
            memory_budget=self.memory_budget,
            device=str(self.model.device),
        )
        scores, documents = self.index.search_vectors(self._query_vectors(inp), self.num_results, searcher, aggregation)
        query, place = np.nonzero(documents >= 0)
        results = queries.iloc[query].reset_index(drop=True)
        results = results.assign(
            docno=self.index.docnos(documents[query, place]), score=scores[query, place].astype(np.float64), rank=place
        )
        finite_scores(results)
        return results


class DenseScorer(DenseTransformer):
    """Re-ranks documents by their vectors in an index; documents that it does not hold are encoded from their ``text``.

    Args:
        index: of the documents' vectors.
        model: encodes the queries.
        aggregation: how a document is scored by its passages; see ``DenseRetriever``.
        check: refuse a model other than the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: there is no such aggregation.
    """

    schematic: ClassVar[dict[str, str | None]] = {"label": "Dense scorer", "help_url": None}

    def __init__(self, index: SearchableIndex, model: DenseEncoder, *, aggregation: str = "max", check: bool = True) -> None:
        super().__init__(index, model, aggregation=aggregation, check=check)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Score and rank; every other column is kept.

        Raises:
            DocumentNotFoundError: documents that the index does not hold, in a frame without ``text``.
        """
        with pt.validate.any(inp, context=self) as mode:
            mode.result_frame(extra_columns=["query_vec"])
            mode.result_frame(extra_columns=["query"])
        if inp.empty:
            return inp.assign(score=pd.Series(dtype=float), rank=pd.Series(dtype=int))
        queries = self._query_vectors(inp)
        numbers = self.index.numbers([str(docno) for docno in inp["docno"]])
        scores = np.empty(len(inp), dtype=np.float64)
        known = numbers >= 0
        scores[known] = self.index.document_scores(queries[known], numbers[known], parse_aggregation(self.aggregation))
        if not known.all():
            scores[~known] = self._score_texts(self._texts(inp[~known]), queries[~known])
        return rank_results(inp.assign(score=scores))

    def _score_texts(self, texts: list[Text], queries_ND: np.ndarray) -> np.ndarray:
        """Scores of texts, cut into passages as the index's documents were, float32 ``[N]``; equal texts are encoded once."""
        encoding = self.index.manifest["encoding"]
        scheme = parse_passages(encoding["passages"]) if encoding and encoding["passages"] else FirstP()
        place_of = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        vectors, counts = self.model.encode_documents(list(place_of), scheme)
        starts = starts_of(counts)
        places_N = np.array([place_of[text] for text in texts])
        counts_N = counts[places_N]
        starts_N = starts_of(counts_N)
        rows = rows_of(starts[places_N], counts_N)
        products = np.einsum("nd,nd->n", vectors[rows].astype(np.float64), np.repeat(queries_ND, counts_N, axis=0).astype(np.float64))
        return parse_aggregation(self.aggregation).combine(products, starts_N, counts_N)

    def _texts(self, unknown: pd.DataFrame) -> list[Text]:
        if "text" not in unknown.columns:
            missing = unknown["docno"].drop_duplicates()
            raise DocumentNotFoundError(
                f"{self.index.folder} does not hold {len(missing)} of the documents, e.g. {str(missing.iloc[0])!r}; "
                "add a text column to encode them, or, if a corpus graph named them, open it and the index again: one of them has changed"
            )
        return self.model.settings.join_frame(unknown)
