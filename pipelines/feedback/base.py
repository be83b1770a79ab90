"""Bases of pseudo-relevance feedback: results to better query vectors.

Shapes: Q queries, D dimensions, N documents that give feedback.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.transformers import query_vectors
from ance_ir.ragged import rows_of, starts_of
from ance_ir.ranking import finite_vectors, given_vectors, rank_results
from ance_ir.settings import flag, integer, of_kind, of_kind_or_none
from ance_ir.transformers import Configured, query_columns


class Feedback(Configured, pt.Transformer):
    """Turns results into their queries, one row each, with a new ``query_vec``.

    A query without results has no row in the input, hence none in the output.
    """

    depth = integer(1)

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Compute the query vectors; all columns of the query (their names begin with ``q``) are kept."""
        self._validate(inp)
        columns = query_columns(inp, without="query_vec")
        if inp.empty:
            return inp[columns].assign(query_vec=pd.Series(dtype=object))
        ranked = rank_results(inp)
        starts = np.flatnonzero(ranked["rank"] == 0)
        queries = ranked.iloc[starts].reset_index(drop=True)
        results = [ranked.iloc[start:end] for start, end in zip(starts, [*starts[1:], len(ranked)], strict=True)]
        return queries[columns].assign(query_vec=pd.Series(list(self._vectors(queries, results)), dtype=object))

    @abstractmethod
    def _validate(self, inp: pd.DataFrame) -> None:
        """Refuse a frame without the columns needed."""

    @abstractmethod
    def _vectors(self, queries: pd.DataFrame, results: list[pd.DataFrame]) -> np.ndarray:
        """The new vectors of queries, float32 ``[Q, D]``, from the ranked results of each."""


class VectorPRF(Feedback):
    """Feedback by the vectors of an index.

    Attributes:
        parameters: what a system may set, in this order: ``prf=rocchio:5,0.4,0.6``. The first is ``depth``.
    """

    parameters: ClassVar[tuple[str, ...]] = ("depth",)

    index = of_kind(AnceIndex)
    model = of_kind_or_none(DenseEncoder)
    check = flag()

    def __init__(self, index: AnceIndex, depth: int, model: DenseEncoder | None, check: bool) -> None:
        super().__init__(depth)
        self.index = index
        self.model = model
        self.check = check

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: the model must be the index's."""
        if changed == "index":
            self.__dict__.pop("_own_model", None)
        if self.check and self.model is not None and changed in (None, "index", "model", "check"):
            self.index.check_model(self.model)

    @abstractmethod
    def _moved(self, query_D: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The new vector of a query, ``[D]``, from the numbers of its documents, int64, best first, at least one."""

    def _validate(self, inp: pd.DataFrame) -> None:
        with pt.validate.any(inp, context=self) as mode:
            mode.result_frame(extra_columns=["score", "query_vec"])
            mode.result_frame(extra_columns=["score", "query"])

    def _vectors(self, queries: pd.DataFrame, results: list[pd.DataFrame]) -> np.ndarray:
        if "query_vec" in queries.columns:
            vectors_QD = given_vectors(queries, self.index.vectors.dimension)
        else:
            vectors_QD = query_vectors(self._own_model if self.model is None else self.model, queries)
        for row, found in enumerate(results):
            numbers = self.index.numbers([str(docno) for docno in found["docno"]])
            numbers = numbers[numbers >= 0]
            if len(numbers):
                vectors_QD[row] = self._moved(vectors_QD[row], numbers)
        return finite_vectors(queries, vectors_QD)

    @cached_property
    def _own_model(self) -> DenseEncoder:
        return self.index.model()

    def _best_passages(self, query_D: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The vector of the best passage of each document, float32 ``[N, D]``."""
        first, counts = self.index.table.rows(numbers)
        vectors_PD = self.index.vectors.get(rows_of(first, counts))
        scores_P = vectors_PD.astype(np.float64) @ query_D.astype(np.float64)
        begins = starts_of(counts)
        best_N = [begin + int(scores_P[begin : begin + count].argmax()) for begin, count in zip(begins, counts, strict=True)]
        best: np.ndarray = vectors_PD[best_N]
        return best
