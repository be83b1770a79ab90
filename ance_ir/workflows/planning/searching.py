"""What searching vectors takes, exactly and with each kind of Faiss file: counts of units.

Shapes in names: N vectors, D dimensions, Q queries, K results of a query.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import faiss

from ance_ir.errors import UsageError
from ance_ir.indexes.ann.filling import PIECE_BYTES
from ance_ir.indexes.ann.layers import empty_index, layers
from ance_ir.indexes.ann.parts.hnsw import EF_CONSTRUCTION, held_candidates
from ance_ir.indexes.ann.parts.ivf import probed_lists
from ance_ir.indexes.ann.recipe import TRAINING_BYTES, recipe_of, training_rows
from ance_ir.indexes.ann.settings import FaissSettings, is_exact, parse_backend
from ance_ir.indexes.search.exact import MEMORY_BUDGET
from ance_ir.models.dense.size import Size

Counts = Mapping[str, float]
"""How many units of each kind, by the names of costs."""

RESULTS_TOGETHER = 1 << 21
"""Results, of all queries for which the vectors are read once; about as many as exact search holds in its memory."""

KMEANS = 10
"""Rounds in which Faiss finds the centres of lists."""

_PER_HELD, _NEAR = 5.0, 3.3
"""Vectors that a search of a graph compares for each candidate that it holds and each doubling of the vectors beyond so many for each
candidate: counted by Faiss in graphs of 32 links over 5,000 to 40,000 vectors with 100 to 400 candidates, see docs/scale.md."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Vectors, and what searches them.

    Attributes:
        rows: N.
        dimension: D.
        backend: ``"exact"``, a cluster, or a Faiss family of a graph or an inverted file, with its options.

    Raises:
        UsageError: there is no such backend, or it is not known what it takes.
    """

    rows: int
    dimension: int
    backend: str

    def __post_init__(self) -> None:
        check_planned(self.backend)

    @property
    def family(self) -> str:
        """Its backend without options."""
        return self.backend if self._settings is None else self._settings.family

    @property
    def building(self) -> Counts:
        """What it takes to build its Faiss file; nothing where it has none."""
        if self._settings is None:
            return {}
        if self._settings.graph:
            return {"faiss.hnsw": self._components * self._compared(self._settings.ef_construction or EF_CONSTRUCTION, growing=True)}
        trained = training_rows(self.rows, self.dimension, self._lists)
        return {"faiss.ivf": (self.rows + KMEANS * trained) * self.dimension * self._lists}

    def searching(self, queries: float, results: int) -> Counts:
        """What a search takes.

        Args:
            queries: that are searched together.
            results: of each.
        """
        if self._settings is None:
            return {
                "search.component": math.ceil(queries * results / RESULTS_TOGETHER) * self._components,
                "search.product": queries * self._components,
                "search.result": queries * results,
            }
        rescored = min(self._settings.rescored(results), self.rows)
        found = {"search.pair": queries * rescored * self.dimension} if rescored else {}
        if self._settings.graph:
            held = max(self._settings.ef_search or held_candidates(self.rows), rescored or results)
            return {**found, "faiss.hnsw_query": queries * self.dimension * self._compared(held)}
        probed = min(self._settings.nprobe or probed_lists(self._lists), self._lists)
        return {**found, "faiss.scan": queries * self.dimension * (self._lists + self.rows * probed / self._lists)}

    @cached_property
    def bytes(self) -> float:
        """Of its Faiss file, which is also the memory that it takes; 0 where it has none."""
        found = 0.0
        for layer in [] if self._settings is None else layers(self._empty):
            if hasattr(layer, "hnsw"):
                links = layer.hnsw.nb_neighbors(0) + 1  # one in the levels above, on average
                found += self.rows * (faiss.downcast_index(layer.storage).sa_code_size() + 4 * links + 12)
            elif hasattr(layer, "nlist"):
                found += self.rows * (layer.code_size + 8) + 4 * layer.nlist * self.dimension
                found += 4 * layer.pq.ksub * self.dimension if hasattr(layer, "pq") else 0
        return found

    @property
    def held_building(self) -> float:
        """Bytes of memory while its Faiss file is built: a graph, or a piece of an inverted file and the vectors that it learns from."""
        if self._settings is None or not self._settings.inverted:
            return self.bytes
        return min(PIECE_BYTES, self.bytes) + min(TRAINING_BYTES, 4.0 * self._components)

    @property
    def held(self) -> float:
        """Bytes of memory while it is searched."""
        return MEMORY_BUDGET if self._settings is None else self.bytes

    @cached_property
    def _settings(self) -> FaissSettings | None:
        return None if is_exact(self.backend) else parse_backend(self.backend)

    @property
    def _components(self) -> int:
        return self.rows * self.dimension

    def _compared(self, held: int, *, growing: bool = False) -> float:
        """Vectors of a graph that are compared with one.

        Args:
            held: candidates.
            growing: while the graph grows to its size, in the mean.
        """
        doublings = math.log2(max(2.0, self.rows / (_NEAR * held))) - (1 / math.log(2) if growing else 0)
        return min(self.rows, _PER_HELD * held * max(1.0, doublings))

    @cached_property
    def _empty(self) -> faiss.Index:
        assert self._settings is not None
        return empty_index(recipe_of(self._settings, self.rows, self.dimension), self.dimension, self._settings)

    @cached_property
    def _lists(self) -> int:
        return next(int(layer.nlist) for layer in layers(self._empty) if hasattr(layer, "nlist"))


def is_planned(backend: str) -> bool:
    """Whether it is known what building and searching such a backend takes.

    Raises:
        UsageError: there is no such family.
    """
    return is_exact(backend) or parse_backend(backend).graph or parse_backend(backend).inverted


def check_planned(backend: str) -> None:
    """Refuse a backend of which it is not known what it takes.

    Raises:
        UsageError: it is none that is planned.
    """
    if not is_planned(backend):
        raise UsageError(f"backend {backend}: exact, or a family with hnsw or ivf was expected; nothing else is planned")


def reading(size: Size, lengths: Sequence[int], texts: float) -> Counts:
    """What it takes a model to read texts.

    Args:
        size: of the model.
        lengths: tokens of the texts that stand for all.
        texts: how many there are.
    """
    each = texts / len(lengths)
    return {"encoding.token": each * sum(lengths), "encoding.passage": texts, "encoding.operation": each * size.operations(lengths)}


def total(*counts: Counts) -> dict[str, float]:
    """All of them together."""
    names = dict.fromkeys(name for one in counts for name in one)
    return {name: sum(one.get(name, 0.0) for one in counts) for name in names}
