"""What pipelines do with queries, stage by stage: counts of units.

A stage whose cost nobody measured makes that of its pipeline unknown: a stage of the user's own, a reader, an engine of BM25 other than the
one that units are measured with, search on a cluster, a Faiss family with neither a graph nor lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyterrier as pt
from pyterrier import RankCutoff
from pyterrier._ops import Compose, ScalarProduct
from transformers import PreTrainedModel

from ance_ir.datasets import DocumentStore
from ance_ir.datasets.loader import TextLoader
from ance_ir.indexes import DenseRetriever, DenseScorer
from ance_ir.indexes.ann.build import faiss_paths
from ance_ir.indexes.ann.settings import resolve
from ance_ir.indexes.cluster.connection import is_cluster
from ance_ir.indexes.search.aggregation import First, parse_aggregation
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.indexes.store.snapshot import faiss_folder
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.encoder import Encoder
from ance_ir.models.dense.size import Size
from ance_ir.models.dense.transformers import QueryEncoder
from ance_ir.pipelines import BertReranker, BM25Retriever, WithoutExcluded, WithoutItself
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.pipelines.fusion.base import Fusion
from ance_ir.workflows.planning.searching import Counts, Searched, is_planned, reading, total

SAMPLE = 64
"""Queries and documents that stand for all."""

_ENGINE = "pisa"
"""Of BM25, whose cost is measured."""


class UnknownCostError(Exception):
    """Nobody measured what a stage costs."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What goes from one stage to the next.

    Attributes:
        queries: how many.
        texts: of those that stand for all.
        found: documents of each query; 0 before any were searched.
        encoded: whether the queries have vectors.
        texts_of: the documents whose texts were added.
    """

    queries: int
    texts: Sequence[str]
    found: float = 0.0
    encoded: bool = False
    texts_of: DocumentStore | None = None

    @classmethod
    def of(cls, texts: Sequence[str]) -> Flow:
        """Queries, by a sample of their texts."""
        return cls(queries=len(texts), texts=[texts[place] for place in _places(len(texts))])


def _places(count: int) -> list[int]:
    """Some of so many, at even distances."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, SAMPLE).astype(int))]


class Work:
    """What pipelines take, added up as queries go through them.

    Attributes:
        counts: units of each kind.
        once: those of building what stays, however often queries go through.
        disk: bytes of the Faiss files that are built on the way.
        on_gpu: whether a model of theirs is on a GPU.
    """

    def __init__(self) -> None:
        self.counts: Counts = {}
        self.once: Counts = {}
        self.disk = 0.0
        self.on_gpu = False

    def add(self, *counts: Counts) -> None:
        """More of it."""
        self.counts = total(self.counts, *counts)

    def through(self, stage: pt.Transformer, flow: Flow) -> Flow:
        """What comes out of a stage, once its work is added.

        Raises:
            UnknownCostError: nobody measured it.
        """
        match stage:
            case Compose():
                for part in stage._transformers:
                    flow = self.through(part, flow)
                return flow
            case RankCutoff():
                return replace(flow, found=min(flow.found, stage.k))
            case ScalarProduct():
                return flow
            case Fusion():
                found = sum(self.through(system, flow).found for system in stage.systems)
                return replace(flow, found=min(stage.num_results, found))
            case WithoutItself() | WithoutExcluded():
                found = self.through(stage.retriever, flow).found
                return replace(flow, found=min(stage.num_results, found))
            case TextLoader():
                return replace(flow, texts_of=stage.store())
        return self._through_model(stage, flow)

    def _through_model(self, stage: pt.Transformer, flow: Flow) -> Flow:
        match stage:
            case BM25Retriever() if stage.index.engine == _ENGINE and stage.rm3 is None:
                self.add({"bm25.query": flow.queries, "bm25.query_document": flow.queries * len(stage.index)})
                return replace(flow, found=min(stage.num_results, len(stage.index)))
            case QueryEncoder():
                return self._encoded(stage.model, flow)
            case DenseRetriever():
                return self._retrieved(stage, flow)
            case DenseScorer():
                flow = self._encoded(stage.model, flow)
                passages = len(stage.index.vectors) / max(1, len(stage.index.table))
                self._scored(stage.index, passages * flow.found, flow)
                return flow
            case VectorPRF():
                self._scored(stage.index, stage.depth, flow)
                return replace(flow, found=0.0, encoded=True)
            case BertReranker() if stage.model.conversion is None:
                return self._reranked(stage, flow)
        raise UnknownCostError(repr(stage))

    def _encoded(self, model: Encoder, flow: Flow) -> Flow:
        if flow.encoded:
            return flow
        if not isinstance(model, DenseEncoder):
            raise UnknownCostError(repr(model))
        self.on_gpu |= model.device.type == "cuda"
        lengths = [len(ids) for ids in model.tokenizer.queries(flow.texts)]
        self.add(reading(Size.of(model.query_tower), lengths, flow.queries))
        return replace(flow, encoded=not flow.found)  # scorers keep the vectors to themselves

    def _scored(self, index: SearchableIndex, rows: float, flow: Flow) -> None:
        self.add({"search.pair": flow.queries * rows * index.vectors.dimension})

    def _retrieved(self, stage: DenseRetriever, flow: Flow) -> Flow:
        index, settings = stage.index, None if is_cluster(stage.backend) else resolve(stage.index.folder, stage.backend)
        backend = stage.backend if settings is None else str(settings)
        if is_cluster(backend) or not is_planned(backend):
            raise UnknownCostError(backend)
        self._encoded(stage.model, flow)
        searched = Searched(rows=len(index.vectors), dimension=index.vectors.dimension, backend=backend)
        if settings is not None and not faiss_paths(index.folder / faiss_folder(index.manifest), settings)[1].exists():
            self.once = total(self.once, searched.building)
            self.disk += searched.bytes
        found = min(stage.num_results, len(index))
        alone = len(index.vectors) == len(index.table) or isinstance(parse_aggregation(stage.aggregation), First)
        self.add(searched.searching(flow.queries, found if alone else min(2 * found, searched.rows)))
        return replace(flow, found=found)

    def _reranked(self, stage: BertReranker, flow: Flow) -> Flow:
        """By the pairs of some queries and documents of the whole collection."""
        store = stage.dataset.store() if stage.dataset is not None else flow.texts_of
        if store is None:
            raise UnknownCostError("where texts come from")
        model = stage.model
        self.on_gpu |= model.device.type == "cuda"
        documents = _places(len(store))
        queries = [flow.texts[place % len(flow.texts)] for place in range(len(documents))]
        texts = [model.settings.join(store[number]) for number in documents]
        pairs = [len(pair.ids) for pairs in model.tokenizer.pairs(queries, texts, stage.passages) for pair in pairs]
        backbone = model.classifier.base_model
        assert isinstance(backbone, PreTrainedModel), "it was not converted"
        self.add(reading(Size.of_backbone(backbone), pairs, flow.queries * flow.found * len(pairs) / len(documents)))
        return flow
