"""How the negatives of any system are ranked: through an index's arrays where it is one, otherwise through the frames of its pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyterrier as pt
from pyterrier import RankCutoff
from pyterrier._ops import Compose

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.errors import TrainingError
from ance_ir.eval.runs.checks import check_run
from ance_ir.indexes import DenseRetriever, DenseScorer
from ance_ir.indexes.mining.allowed import Allowed, DenseRanker, Ranker, not_in_corpus, positives_of, without_excluded
from ance_ir.indexes.search.aggregation import parse_aggregation
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.pipelines import BertReranker, LateInteractionReranker, WithoutItself
from ance_ir.pipelines.adaptive import AdaptiveRetriever
from ance_ir.ragged import owners_of
from ance_ir.training import TrainingQueries

TOGETHER = 64
"""Queries that a pipeline is asked together."""

_DOCUMENTS = 1 << 16
"""Documents whose numbers are looked up together."""


Pipelines = Callable[[int], pt.Transformer]
"""From how many documents are wanted to a pipeline that returns at least so many for a query, if there are so many."""


def usual_exclusions(queries: TrainingQueries) -> int:
    """What 99 of 100 queries exclude at most; the others are searched deeper, each as deep as it needs."""
    return int(np.quantile([len(excluded) for excluded in queries.excluded], 0.99, method="higher"))


def ranker_of(
    pipelines: Pipelines,
    depth: int,
    name: str,
    dataset: Dataset,
    store: DocumentStore,
    queries: TrainingQueries,
    *,
    positives: bool = True,
) -> Ranker:
    """What ranks documents for training queries as a pipeline does.

    Args:
        pipelines: from queries to documents.
        depth: documents that are wanted of each query, without those that it excludes.
        name: the system's, for errors.
        dataset: what is searched.
        store: its documents.
        queries: the training queries.
        positives: whether the scores of positives that a pipeline does not find are of use; its last stage is asked for them.
    """
    stages = _stages(pipelines(depth + usual_exclusions(queries)))
    if (retriever := _dense(stages[0])) is not None and len(stages) == 1:
        index, aggregation = retriever.index, parse_aggregation(retriever.aggregation)
        numbers, places = _numbers(index, store)
        return DenseRanker(
            index, retriever.model, queries, backend=retriever.backend, aggregation=aggregation, numbers=numbers, places=places
        )
    return PipelineRanker(pipelines, _scorer(stages, dataset) if positives else None, name, store, queries)


def _stages(pipeline: pt.Transformer) -> tuple[pt.Transformer, ...]:
    return tuple(pipeline._transformers) if isinstance(pipeline, Compose) else (pipeline,)


def _dense(stage: pt.Transformer) -> DenseRetriever | None:
    inner = _inner(stage)
    return inner if isinstance(inner, DenseRetriever) else None


def _inner(stage: pt.Transformer) -> pt.Transformer:
    """The retriever that a stage is; the document that is the query itself is excluded for training anyway."""
    return stage.retriever if isinstance(stage, WithoutItself) else stage


def _scorer(stages: tuple[pt.Transformer, ...], dataset: Dataset) -> pt.Transformer | None:
    """What scores given documents as the pipeline does: its last stage, if that is an index or a reranker."""
    left = list(stages)
    while len(left) > 1 and isinstance(left[-1], RankCutoff):
        left.pop()
    last = left[-1]
    scored = _inner(last)
    if isinstance(scored, AdaptiveRetriever) or (isinstance(scored, DenseRetriever) and len(left) == 1):
        last = DenseScorer(scored.index, scored.model, aggregation=scored.aggregation, check=False)
    return dataset.text_loader() >> last if isinstance(last, BertReranker | DenseScorer | LateInteractionReranker) else None


def _numbers(index: SearchableIndex, store: DocumentStore) -> tuple[np.ndarray, np.ndarray]:
    """For documents of an index their numbers in the corpus, and the other way round, −1 where there is none."""
    parts = [np.arange(start, min(start + _DOCUMENTS, len(store))) for start in range(0, len(store), _DOCUMENTS)]
    places = np.concatenate([index.numbers(store.docnos(part).tolist()) for part in parts])
    numbers = np.full(len(index.table), -1, dtype=np.int64)
    held = np.flatnonzero(places >= 0)
    numbers[places[held]] = held
    return numbers, places


class PipelineRanker:
    """The rankings of a pipeline.

    Args:
        pipelines: from queries to documents.
        scorer: scores given documents as the pipeline does, if anything can: positives that it does not find.
        name: the system's, for errors.
        store: the documents.
        queries: the training queries.
    """

    def __init__(
        self, pipelines: Pipelines, scorer: pt.Transformer | None, name: str, store: DocumentStore, queries: TrainingQueries
    ) -> None:
        self._pipelines = pipelines
        self._scorer = scorer
        self._name = name
        self._store = store
        self._queries = queries
        self._usual = usual_exclusions(queries)

    def allowed(self, asked: np.ndarray, count: int) -> Iterator[Allowed]:
        """See ``Ranker``.

        Raises:
            TrainingError: a document was found that the corpus does not hold.
        """
        excluded = np.array([len(self._queries.excluded[query]) for query in asked])
        deeper = 2 ** np.ceil(np.log2(np.maximum(excluded, 1))).astype(np.int64)  # so that there are few depths
        extra = np.where(excluded <= self._usual, self._usual, deeper)
        for one in np.unique(extra).tolist():
            pipeline, alike = self._pipelines(count + one), asked[extra == one]
            for start in range(0, len(alike), TOGETHER):
                yield self._allowed(pipeline, alike[start : start + TOGETHER], count)

    def _allowed(self, pipeline: pt.Transformer, block: np.ndarray, count: int) -> Allowed:
        """The rankings of a block of queries."""
        began = time.perf_counter()
        rows, numbers, scores, places = self._ranked(pipeline, block)
        positive_R = self._positives(block, rows, numbers, scores)
        found_BF = np.full((len(block), int(places.max(initial=0)) + 1), -1, dtype=np.int64)
        scores_BF = np.full(found_BF.shape, -np.inf, dtype=np.float32)
        found_BF[rows, places], scores_BF[rows, places] = numbers, scores
        found_BF, scores_BF, excluded = without_excluded(self._queries, block, found_BF, scores_BF, count)
        seconds = time.perf_counter() - began
        return Allowed(queries=block, found_BF=found_BF, scores_BF=scores_BF, positive_R=positive_R, excluded=excluded, seconds=seconds)

    def _ranked(self, pipeline: pt.Transformer, block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of each result its query's row in the block, its document's number, its score, float32, and its place from 0."""
        qids = [self._queries.qids[query] for query in block]
        frame = pd.DataFrame({"qid": qids, "query": [self._queries.texts[query] for query in block]}, dtype=object)
        found = check_run(pipeline.transform(frame))
        numbers = self._store.numbers(found["docno"].tolist())
        if (numbers < 0).any():
            raise not_in_corpus(self._name, found["docno"].iloc[int(np.argmin(numbers))])
        rows = pd.Index(qids).get_indexer(pd.Index(found["qid"]))
        if (rows < 0).any():
            raise TrainingError(f"{self._name} returns results for {found['qid'].iloc[int(np.argmin(rows))]!r}, which was not asked")
        return rows, numbers, found["score"].to_numpy(dtype=np.float32), found["rank"].to_numpy(dtype=np.int64)

    def _positives(self, block: np.ndarray, rows: np.ndarray, numbers: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """The scores of the positives: those of the ranking, then the scorer's."""
        counts, documents = positives_of(self._queries, block)
        owners = owners_of(counts)
        width = self._queries.documents
        order = np.argsort(rows * width + numbers)
        known = (rows * width + numbers)[order]
        wanted = owners * width + documents
        at = np.searchsorted(known, wanted)
        ranked = at < len(known)
        ranked[ranked] = known[at[ranked]] == wanted[ranked]
        found = np.full(len(wanted), np.nan, dtype=np.float32)
        found[ranked] = scores[order][at[ranked]]
        if self._scorer is not None and not ranked.all():
            found[~ranked] = self._scored(self._scorer, block[owners[~ranked]], documents[~ranked])
        return found

    def _scored(self, scorer: pt.Transformer, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """The scorer's scores of pairs."""
        pairs = pd.DataFrame(
            {
                "qid": [self._queries.qids[query] for query in queries],
                "query": [self._queries.texts[query] for query in queries],
                "docno": self._store.docnos(documents),
                "score": 0.0,
                "rank": 0,
            }
        )
        scored = scorer.transform(pairs).set_index(["qid", "docno"])["score"]
        return scored.loc[pd.MultiIndex.from_frame(pairs[["qid", "docno"]])].to_numpy(dtype=np.float32)
