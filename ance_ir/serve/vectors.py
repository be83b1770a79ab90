"""What is computed from a system's vectors and models beyond its search: neighbours, feedback, passages' scores, vectors, reranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets.loader import FIELDS
from ance_ir.datasets.screening import Document
from ance_ir.indexes import AnceIndex, DenseRetriever, DenseScorer
from ance_ir.indexes.retriever import DenseTransformer
from ance_ir.models.dense.transformers import query_vectors
from ance_ir.pipelines.feedback import FEEDBACKS
from ance_ir.serve.batching import Run
from ance_ir.serve.passages import Passages
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.replies import Passage
from ance_ir.serve.searching import Hits, Query, depth_for, split, timed
from ance_ir.serve.systems import Served

_NO_DOCNO = "\0"
"""Before the number of a text that is no document of the index; no docno begins like this."""


@dataclass(frozen=True, kw_only=True)
class Near:
    """Documents to be near to.

    Attributes:
        query: what is shown; its text is moved towards the documents, unless there is no method.
        docnos: of the documents.
        method: one of ``FEEDBACKS``; empty: near to the documents alone, which are not found themselves.
    """

    query: Query
    docnos: Sequence[str]
    method: str = ""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Documents to score for a query, each with ``docno``, ``title``, ``url`` and ``text``, as far as it is known."""

    query: str
    documents: Sequence[Mapping[str, str]]


class Computing:
    """What can be computed with a system, several requests at once.

    Args:
        system: the system.
    """

    def __init__(self, system: Served) -> None:
        self._system = system
        self._nearest: dict[int, Run[Near, Hits]] = {}

    @cached_property
    def dense(self) -> DenseTransformer:
        """Where the vectors are.

        Raises:
            Refusal: there are none.
        """
        if self._system.dense is None:
            raise Refusal(409, f"{self._system.name} has no vectors: it is {self._system.text}")
        return self._system.dense

    def check_vectors(self, docnos: Sequence[str]) -> None:
        """Refuse documents that have no vectors; another index of the system may hold them.

        Raises:
            Refusal: says which.
        """
        for docno, number in zip(docnos, self.dense.index.numbers(docnos), strict=True):
            if number < 0:
                raise Refusal(404, f"{self._system.name} has no vector of a document {docno!r}")

    @property
    def _passages(self) -> Passages:
        assert self._system.passages is not None
        return self._system.passages

    def near(self, depth: int) -> Run[Near, Hits]:
        """The function that finds the documents next to others; the same one for about the same depth."""
        depth = depth_for(depth)
        return self._nearest.setdefault(depth, partial(self._near, depth))

    def _near(self, depth: int, asked: Sequence[Near]) -> list[Hits]:
        vectors = [self._moved(one) if one.method else self._middle(one.docnos) for one in asked]
        qids = [f"asked {number}" for number in range(len(asked))]
        frame = pd.DataFrame({"qid": qids, "query_vec": pd.Series(vectors, dtype=object)})
        dense = self.dense
        most = depth + max(len(one.docnos) for one in asked)
        if isinstance(dense, DenseRetriever):
            retriever = dense
        else:
            retriever = DenseRetriever(dense.index, dense.model, most, aggregation=dense.aggregation, check=False)
        times: list[tuple[str, float]] = []
        with timed("vectors", times):
            found = (retriever % most).transform(frame)
        alone = {qid: set() if one.method else set(one.docnos) for qid, one in zip(qids, asked, strict=True)}
        found = found[[docno not in alone[qid] for qid, docno in zip(found["qid"], found["docno"], strict=True)]]
        hits = split(qids, found, [one.query for one in asked], times)
        if not self._passages.several:
            return hits
        return [replace(one, passages=self._passages.best(one.docnos, vector)) for one, vector in zip(hits, vectors, strict=True)]

    def _middle(self, docnos: Sequence[str]) -> np.ndarray:
        """The mean over documents of the mean over their passages, float32 ``[D]``."""
        middle: np.ndarray = np.mean([self.dense.index.passage_vectors(docno).mean(axis=0) for docno in docnos], axis=0)
        return middle.astype(np.float32)

    def _moved(self, near: Near) -> np.ndarray:
        """The vector of a query with feedback from documents, float32 ``[D]``."""
        places = range(len(near.docnos))
        results = pd.DataFrame(
            {
                "qid": "asked",
                "query": near.query.text,
                "docno": list(near.docnos),
                "rank": places,
                "score": [-float(place) for place in places],
            }
        )
        index = self.dense.index
        assert isinstance(index, AnceIndex)
        feedback = FEEDBACKS[near.method](index, len(near.docnos), model=self.dense.model, check=False)
        vector: np.ndarray = feedback.transform(results)["query_vec"].iloc[0]
        return vector

    def passages(self, asked: Sequence[tuple[str, str | None]]) -> list[list[Passage]]:
        """The passages of documents, with their scores where there is a query too."""
        texts = [query for _, query in asked if query is not None]
        vectors = iter(self._query_vectors(texts))
        return [self._passages.of([docno], None if query is None else next(vectors))[0] for docno, query in asked]

    def _query_vectors(self, texts: Sequence[str]) -> np.ndarray:
        frame = pd.DataFrame({"qid": [f"asked {number}" for number in range(len(texts))], "query": list(texts)})
        return query_vectors(self.dense.model, frame)

    def encode_queries(self, asked: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Vectors of queries, float32 ``[len(texts), D]`` for each request."""
        return _together(self.dense.model.encode_queries, asked)

    def encode_passages(self, asked: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Vectors of passages, as ``encode_queries``."""
        return _together(self.dense.model.encode_passages, asked)

    def rerank(self, asked: Sequence[Candidates]) -> list[list[float]]:
        """Scores of documents, in their order, for each request."""
        return [self._scores(one) for one in asked]

    @property
    def _scorer(self) -> pt.Transformer:
        part = self._system.reranker
        if isinstance(part, DenseTransformer):
            return DenseScorer(part.index, part.model, aggregation=part.aggregation, check=False)
        assert part is not None
        return part

    def _scores(self, asked: Candidates) -> list[float]:
        if not asked.documents:
            return []
        fields = [name for name in FIELDS if any(name in document for document in asked.documents)]
        frame = pd.DataFrame(
            {
                "qid": "asked",
                "query": asked.query,
                "docno": [document.get("docno", f"{_NO_DOCNO}{place}") for place, document in enumerate(asked.documents)],
                "score": 0.0,
                "rank": range(len(asked.documents)),
                **{name: [document.get(name, "") for document in asked.documents] for name in fields},
                "place": range(len(asked.documents)),
            }
        )
        scored = self._scorer.transform(frame)
        scores = pd.Series(scored["score"].to_numpy(dtype=float), index=scored["place"])
        return [float(scores[place]) for place in range(len(scores))]


def as_candidate(document: Document) -> dict[str, str]:
    """A document of the collection as it is scored."""
    return {"docno": document["docno"], **{name: str(document.get(name, "")) for name in FIELDS}}


def _together(encode: Callable[[list[str]], np.ndarray], asked: Sequence[Sequence[str]]) -> list[np.ndarray]:
    vectors = encode([text for texts in asked for text in texts])
    ends = np.cumsum([len(texts) for texts in asked])
    return np.split(vectors, ends[:-1])
