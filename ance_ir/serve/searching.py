"""Searching: several queries through the stages of a system at once, each as if it were alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter

import numpy as np
import pandas as pd
import pyterrier as pt

from ance_ir.datasets.loader import TextLoader
from ance_ir.errors import DocumentNotFoundError
from ance_ir.indexes import DenseRetriever, DenseScorer
from ance_ir.models.dense.transformers import query_vectors
from ance_ir.pipelines.adaptive import AdaptiveRetriever
from ance_ir.serve.batching import Run
from ance_ir.serve.limits import RESULTS
from ance_ir.serve.replies import Passage
from ance_ir.serve.systems import Served
from ance_ir.transformers import parts_of

DEPTHS = (10, 20, 50, 100, 200, 500, RESULTS)
"""Depths to which systems are searched: the next one of what is asked for, so that requests for about as much are computed together."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is searched for.

    Attributes:
        text: the query.
        offset: documents before the first that is shown.
        k: documents that are shown, at most.
        passages: whether the passages that scored best are wanted.
    """

    text: str
    offset: int
    k: int
    passages: bool = False


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What a search found: those of the documents that are shown.

    Attributes:
        docnos: best first.
        scores: of the documents.
        passages: of the documents, the one that scored best; empty where that was not asked or there are no vectors of passages.
        stages: each stage, and the milliseconds that it took for all queries that were computed together.
    """

    docnos: Sequence[str]
    scores: Sequence[float]
    passages: Sequence[Passage | None]
    stages: Sequence[tuple[str, float]]


class Searcher:
    """Searches with a system.

    Args:
        system: the system.
    """

    def __init__(self, system: Served) -> None:
        self._system = system
        self._runs: dict[int, Run[Query, Hits]] = {}

    def to(self, depth: int) -> Run[Query, Hits]:
        """The function that searches to that depth or somewhat deeper; always the same one, by which requests are put together."""
        depth = depth_for(depth)
        if depth not in self._runs:
            *before, (name, last) = self._system.stages
            self._runs[depth] = partial(self._run, (*before, (name, last % depth)))
        return self._runs[depth]

    def _run(self, stages: Sequence[tuple[str, pt.Transformer]], queries: Sequence[Query]) -> list[Hits]:
        frame = pd.DataFrame({"qid": [f"asked {number}" for number in range(len(queries))], "query": [query.text for query in queries]})
        passages = self._system.passages if any(query.passages for query in queries) else None
        times: list[tuple[str, float]] = []
        vectors: np.ndarray | None = None
        found, given = frame, False
        if passages is not None and passages.several:
            with timed("query vectors", times):
                vectors = query_vectors(passages.model, frame)
            first = stages[0][1]
            if isinstance(first, DenseRetriever) and first.model is passages.model:
                found, given = frame.assign(query_vec=list(vectors)), True
        for name, stage in stages:
            with timed(name, times):
                found = self._through(stage, found)
            if given:  # a later stage may have another model
                found, given = found.drop(columns="query_vec"), False
        hits = split(frame["qid"], found, queries, times)
        if passages is None or vectors is None:
            return hits
        return [
            replace(one, passages=passages.best(one.docnos, vector)) if query.passages else one
            for one, query, vector in zip(hits, queries, vectors, strict=True)
        ]

    def _through(self, stage: pt.Transformer, found: pd.DataFrame) -> pd.DataFrame:
        """What a stage makes of a frame, without documents that it does not know: they were deleted from one index and not from another."""
        try:
            return stage.transform(found)
        except DocumentNotFoundError:
            if "docno" not in found.columns:
                raise
        docnos = [str(docno) for docno in found["docno"]]
        known = np.ones(len(docnos), dtype=bool)
        for part in parts_of(stage):
            if isinstance(part, DenseScorer | AdaptiveRetriever):
                known &= part.index.numbers(docnos) >= 0
            elif isinstance(part, TextLoader):
                known &= self._system.store.numbers(docnos) >= 0
        return stage.transform(found[known])


def depth_for(depth: int) -> int:
    """The depth to which is searched where that many documents are asked for."""
    return next(one for one in DEPTHS if one >= min(depth, RESULTS))


@contextlib.contextmanager
def timed(stage: str, times: list[tuple[str, float]]) -> Iterator[None]:
    """Note the milliseconds that a stage takes."""
    started = time.perf_counter()
    yield
    times.append((stage, 1000 * (time.perf_counter() - started)))


def split(qids: Iterable[str], found: pd.DataFrame, queries: Sequence[Query], stages: Sequence[tuple[str, float]] = ()) -> list[Hits]:
    """The hits of each query in a result frame, in the order of their ranks."""
    rows: dict[str, list[tuple[int, str, float]]] = {qid: [] for qid in qids}
    for qid, rank, docno, score in zip(*(found[name].tolist() for name in ("qid", "rank", "docno", "score")), strict=True):
        rows[qid].append((int(rank), str(docno), float(score)))
    hits = []
    for ranked, query in zip(rows.values(), queries, strict=True):
        shown = sorted(ranked, key=itemgetter(0))[query.offset : query.offset + query.k]
        hits.append(Hits(docnos=[row[1] for row in shown], scores=[row[2] for row in shown], passages=(), stages=stages))
    return hits
