"""What the stages of systems are opened with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyterrier as pt

from ance_ir.datasets import Dataset
from ance_ir.errors import ModelError
from ance_ir.models.compute.precision import Precision
from ance_ir.pipelines.excluded import Excluded, WithoutExcluded
from ance_ir.pipelines.itself import WithoutItself
from ance_ir.pipelines.systems.tree import Stage
from ance_ir.progress import Told

M = TypeVar("M")


@dataclass(frozen=True, eq=False)
class OpenModels:
    """The models that are open, for systems over one dataset or several."""

    _models: dict[tuple[type[Any], str], Any] = field(default_factory=dict)

    def once(self, kind: type[M], key: str, open_it: Callable[[], M]) -> M:
        """The model of a class that is open under a key; opened if none is."""
        if (kind, key) not in self._models:
            self._models[kind, key] = open_it()
        model: M = self._models[kind, key]
        return model


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """What the stages of systems over one dataset are opened with.

    Attributes:
        dataset: the dataset to search.
        num_results: documents a query.
        device: where models compute.
        model: where the model of the indexes is now, if it has moved since they were built.
        precision: of dense models; by default their checkpoint's own.
        passages: how documents are split for a dense model, unless the stage sets it or the model is published with its own.
        bm25: k1 and b, unless the stage sets them.
        counts_itself: whether a document counts whose docno is the query's qid.
        excluded: documents that do not count for a query; ``None`` where there are none.
        instruction: what models that read instructions are told about the dataset's queries; empty where there is none.
        models: those that are open.
        verbose: show progress of what is built on first use.
        told: is told the progress of dense indexes that are built on first use.
    """

    dataset: Dataset
    num_results: int
    device: str | None
    model: str | None
    precision: Precision | None
    passages: str
    bm25: tuple[float, float]
    counts_itself: bool
    excluded: Excluded | None
    instruction: str
    models: OpenModels
    verbose: bool
    told: Told | None

    @property
    def asked(self) -> int:
        """The number of documents to ask a retriever for."""
        return self._without_itself + (self.excluded.most if self.excluded is not None else 0)

    @property
    def _without_itself(self) -> int:
        return self.num_results if self.counts_itself else self.num_results + 1

    def counted(self, retriever: pt.Transformer) -> pt.Transformer:
        """A retriever without the documents that do not count."""
        if self.excluded is not None:
            retriever = WithoutExcluded(retriever, self.excluded, self._without_itself)
        return retriever if self.counts_itself else WithoutItself(retriever, self.num_results)


def with_remedy(error: ModelError, stage: Stage) -> ModelError:
    """The error of a checkpoint that does not open, with what to write in its place."""
    return ModelError(f"{error}. Name another checkpoint in brackets: {stage.written}[model=FOLDER]")
