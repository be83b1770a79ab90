"""The systems that are served: from their texts to what answers requests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import pyterrier as pt

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.errors import UsageError
from ance_ir.eval.on_dataset import parser_for
from ance_ir.eval.suites import suite_to_search
from ance_ir.indexes.retriever import DenseTransformer
from ance_ir.models.library.wrapped import Wrapped
from ance_ir.pipelines import BertReranker, LateInteractionReranker, SparseRetriever
from ance_ir.pipelines.bm25.retriever import BM25Retriever
from ance_ir.pipelines.feedback.base import VectorPRF
from ance_ir.serve.limits import RESULTS
from ance_ir.serve.passages import Passages
from ance_ir.transformers import parts_of

RANKING = ("qid", "docno", "score", "rank")
"""The columns of a ranking."""

OverIndex = DenseTransformer | BM25Retriever | SparseRetriever | VectorPRF
"""Transformers with an index."""

Reranker = BertReranker | LateInteractionReranker
"""Transformers that score texts without an index."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """A system that is served.

    Attributes:
        name: its name.
        text: what ``--system`` was given.
        stages: each with its text; run one after another they are its pipeline.
        store: the texts of the collection.
    """

    name: str
    text: str
    stages: Sequence[tuple[str, pt.Transformer]]
    store: DocumentStore

    @cached_property
    def parts(self) -> list[pt.Transformer]:
        """All transformers in it, those inside others too."""
        return [part for _, stage in self.stages for part in parts_of(stage)]

    @cached_property
    def over_indexes(self) -> list[OverIndex]:
        """Its transformers with an index."""
        return [part for part in self.parts if isinstance(part, OverIndex)]

    @cached_property
    def dense(self) -> DenseTransformer | None:
        """Where its vectors are: the last part that scores by them."""
        return next((part for part in reversed(self.parts) if isinstance(part, DenseTransformer)), None)

    @cached_property
    def passages(self) -> Passages | None:
        """The passages of its documents, where it has vectors."""
        return None if self.dense is None else Passages(self.store, self.dense)

    @cached_property
    def reranker(self) -> Reranker | DenseTransformer | None:
        """What scores documents for a query: its last reranker if it has one, else its dense part."""
        return next((part for part in reversed(self.parts) if isinstance(part, Reranker)), self.dense)

    @cached_property
    def offers(self) -> list[str]:
        """What can be asked of it."""
        vectors = ["similar", "feedback", "encode"] if self.dense is not None else []
        return ["search", "documents", *vectors, *(["rerank"] if self.reranker is not None else [])]

    def holds(self, docno: str) -> bool:
        """Whether a document is in one of its indexes; of a system without any, in the collection."""
        if not self.over_indexes:
            return bool(self.store.numbers([docno])[0] >= 0)
        return any(_holds(part, docno) for part in self.over_indexes)


def open_systems(
    dataset: Dataset,
    texts: Sequence[str],
    *,
    split: str = "test",
    pipelines: Mapping[str, pt.Transformer] = MappingProxyType({}),
    **options: Any,
) -> list[Served]:
    """Open systems over a dataset, as ``ance-ir eval`` reads them.

    Args:
        dataset: its documents.
        texts: ``[NAME=]SYSTEM`` each.
        split: whose suite says how documents are cut and BM25 is set.
        pipelines: the caller's own stages by name.
        options: ``device``, ``model``, ``precision`` and ``verbose`` of ``Systems``.

    Raises:
        UsageError: a text is no system, two have one name, a name has a slash, with which no address can hold it, or a system ends with
            something else than a ranking.
        ModelError: a checkpoint is not available, or does not load.
    """
    # queries here have no qid of their own, so none is a document
    suite = replace(suite_to_search(dataset, split), counts_itself=True)
    parser = parser_for(dataset, split, suite, pipelines, None, num_results=RESULTS, **options)
    read = parser.read_all(texts)
    for name in read:
        if "/" in name:
            raise UsageError(f"{name} cannot be asked for by its address, as its name has a slash; name it: --system NAME={name}")
    planned = {name: parser.stages(system) for name, system in read.items()}
    store = dataset.store(verbose=bool(options.get("verbose")))
    opened = {name: [(part, open_it()) for part, open_it in stages] for name, stages in planned.items()}
    served = [Served(name=name, text=text, stages=opened[name], store=store) for name, text in zip(read, texts, strict=True)]
    for system in served:
        _check_ranking(system)
    return served


def _check_ranking(system: Served) -> None:
    """Refuse a system whose results are known to be no ranking, such as a reader's answers."""
    columns = ["qid", "query"]
    for _, stage in system.stages:
        known = pt.inspect.transformer_outputs(stage, columns, strict=False)
        if known is None:  # a stage of the user's own
            return
        columns = known
    if missing := [name for name in RANKING if name not in columns]:
        raise UsageError(
            f"{system.name}: rankings are served, with {', '.join(RANKING)}, and this system ends without {', '.join(missing)}: "
            "leave out what comes after its ranking, such as a reader"
        )


def groups(systems: Sequence[Served]) -> list[list[Served]]:
    """Systems that share a model or an engine, which one thread at a time may use, in one group."""
    joined: list[tuple[set[int], list[Served]]] = []
    for system in systems:
        used = {id(one) for part in system.parts for one in _shared(part)}
        touching = [group for group in joined if group[0] & used]
        joined = [group for group in joined if not group[0] & used]
        joined.append((used.union(*(group[0] for group in touching)), [*itertools.chain(*(group[1] for group in touching)), system]))
    return [group for _, group in joined]


def _shared(part: pt.Transformer) -> Iterator[object]:
    """What of a transformer others may use too: its model or that one's tokeniser, and its engine; the whole of one that is not ours."""
    model = part.index.encoder if isinstance(part, SparseRetriever) else getattr(part, "model", None)
    if model is not None:
        yield model if isinstance(model, Wrapped) else model.tokenizer.tokenizer
    if isinstance(part, BM25Retriever | SparseRetriever):
        yield part.index
    if not type(part).__module__.startswith(("ance_ir.", "pyterrier.")):
        yield part


def _holds(part: OverIndex, docno: str) -> bool:
    docnos = part.index.docnos if isinstance(part, BM25Retriever | SparseRetriever) else part.index
    return bool(docnos.numbers([docno])[0] >= 0)
