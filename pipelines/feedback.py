"""Pseudo-relevance feedback for dense retrieval: results to better query vectors, to be put between two retrievals.

Shapes: Q queries, D dimensions, N documents that give feedback.

Example, with the model's query vectors in the frame from the start, so that each query is encoded once::

    model.queries() >> ance % 10 >> RocchioPRF(index) >> ance
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.errors import UsageError
from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.encoding import encode_windows, gather
from ance_ir.models.dense.transformers import query_vectors
from ance_ir.ragged import rows_of
from ance_ir.ranking import check_queries, finite_vectors, given_vectors, rank_results
from ance_ir.settings import flag, integer, number, of_kind, of_kind_or_none
from ance_ir.transformers import Configured, given_texts, labelled, query_columns


class _Feedback(Configured, pt.Transformer):
    """Results to their queries, once each, with a new ``query_vec``.

    A query without results is not in a frame of results, so it does not come out either.
    """

    depth = integer(1)

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Make the query vectors; all columns that belong to queries (their names begin with ``q``) are kept."""
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
        """New vectors of queries, float32 ``[Q, D]``, of the results of each, ranked."""


class _VectorPRF(_Feedback):
    """Feedback by the vectors of an index."""

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
        """The new vector of a query, ``[D]``, of the documents that it found, best first, int64, one at least."""

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
        begins = np.cumsum(counts) - counts
        best_N = [begin + int(scores_P[begin : begin + count].argmax()) for begin, count in zip(begins, counts, strict=True)]
        best: np.ndarray = vectors_PD[best_N]
        return best


class AveragePRF(_VectorPRF):
    """The mean of the query and the first results (Li et al., 2021, "Average").

    A document gives the vector of its best passage for the query, which made its score where documents score as their best passage.
    Results that the index does not hold are passed over; a query without any that it holds keeps its vector.

    Args:
        index: where the documents' vectors are.
        depth: how many results give feedback, at most.
        model: encodes the queries of frames without ``query_vec``; by default the index's own, opened when it is first needed.
        check: refuse a model that is not the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: ``depth`` is below 1.
    """

    schematic = labelled("Average PRF")

    def __init__(self, index: AnceIndex, depth: int = 3, *, model: DenseEncoder | None = None, check: bool = True) -> None:
        super().__init__(index, depth, model, check)

    def _moved(self, query_D: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        mean: np.ndarray = np.vstack((query_D, self._best_passages(query_D, numbers[: self.depth]))).mean(axis=0)
        return mean


class RocchioPRF(_VectorPRF):
    """α · query + β · mean of the first results − γ · mean of the last ones (Li et al., 2021, "Rocchio").

    Documents give vectors as for ``AveragePRF``. Of a query with few results the last ones are those after the first ones, if any.

    Args:
        index: where the documents' vectors are.
        depth: how many first results give feedback, at most.
        alpha: weight of the query.
        beta: weight of the first results.
        bottom: how many last results count as not relevant, at most.
        gamma: weight of the last results.
        model: see ``AveragePRF``.
        check: refuse a model that is not the index's.

    Raises:
        FingerprintError: the index was built with another model.
        UsageError: ``depth`` is below 1, or ``bottom`` below 0.
    """

    schematic = labelled("Rocchio PRF")
    alpha = number()
    beta = number()
    bottom = integer(0)
    gamma = number()

    def __init__(
        self,
        index: AnceIndex,
        depth: int = 5,
        alpha: float = 0.4,
        beta: float = 0.6,
        bottom: int = 0,
        gamma: float = 0.0,
        *,
        model: DenseEncoder | None = None,
        check: bool = True,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.bottom = bottom
        self.gamma = gamma
        super().__init__(index, depth, model, check)

    def _moved(self, query_D: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        moved: np.ndarray = self.alpha * query_D + self.beta * self._best_passages(query_D, numbers[: self.depth]).mean(axis=0)
        last = numbers[max(self.depth, len(numbers) - self.bottom) :]
        if len(last):
            moved -= self.gamma * self._best_passages(query_D, last).mean(axis=0)
        return moved


class AncePRF(_Feedback):
    """A query encoder that reads the query and the first results together (ANCE-PRF: Yu, Xiong and Callan, 2021).

    It reads the query and the ``text`` of each result, each followed by what ends a text for the tokeniser, cut where ``length`` is full.

    Args:
        model: a query encoder trained for this; the vectors that are searched come from the model that it was trained with.
        depth: how many results it reads, at most; a checkpoint is trained for one depth.
        length: tokens, special ones counted.

    Raises:
        UsageError: ``depth`` is below 1, or the model does not take so many tokens.
    """

    schematic = labelled("ANCE-PRF")
    model = of_kind(DenseEncoder)
    length = integer(3)

    def __init__(self, model: DenseEncoder, depth: int = 3, *, length: int = 512) -> None:
        super().__init__(depth)
        self.model = model
        self.length = length

    def settle(self, changed: str | None) -> None:
        """See ``Configured``: the model must take so many tokens."""
        if self.length > self.model.tokenizer.longest:
            raise UsageError(f"length {self.length} is more than the {self.model.tokenizer.longest} tokens that the model takes")

    def _validate(self, inp: pd.DataFrame) -> None:
        pt.validate.result_frame(inp, extra_columns=["score", "query", "text"], context=self)

    def _vectors(self, queries: pd.DataFrame, results: list[pd.DataFrame]) -> np.ndarray:
        check_queries(queries)
        tokenizer = self.model.tokenizer
        texts = [given_texts(found["text"].head(self.depth)) for found in results]
        read = tokenizer.joined([[query, *told] for query, told in zip(queries["query"], texts, strict=True)], self.length)
        tokens = ([np.asarray(ids, dtype=np.int32)] for ids in read)
        return finite_vectors(queries, gather(encode_windows(self.model.query_tower, tokens, tokenizer.pad_id), self.model.dimension)[0])
