"""What units of work cost on a machine: files that ``ance-ir bench units`` writes, and those that come with this package."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ance_ir import registries
from ance_ir.choices import check_choice
from ance_ir.errors import UsageError
from ance_ir.files import as_path, cache_folder, write_json
from ance_ir.typed_json import read_typed

DEFAULT, DEFAULT_GPU = "laptop", "h100"
"""The machines that stand for one that was never measured."""

UNITS = {
    "store.begin": "collection, however small",
    "store.document": "document written to disk",
    "store.token": "token of it",
    "bm25.begin": "BM25 index, however small",
    "bm25.document": "document indexed for BM25",
    "bm25.token": "token of it",
    "bm25.query": "query asked of BM25",
    "bm25.query_document": "query and document searched",
    "encoding.begin": "index, however small",
    "encoding.token": "token that is made of a text",
    "encoding.passage": "passage encoded and written",
    "encoding.operation": "floating-point operation of encoding",
    "search.component": "component of a vector, for all queries that are searched together",
    "search.product": "query and component of a vector",
    "search.result": "query and vector found",
    "search.pair": "component of a vector that is scored for a query again",
    "faiss.hnsw": "component of a vector that is compared with another while a graph is built",
    "faiss.ivf": "component of a vector and list",
    "faiss.hnsw_query": "component of a vector of a graph that is compared with a query",
    "faiss.scan": "component of a vector that is compared",
    "mining.candidate": "query and candidate for a negative",
    "training.operation": "floating-point operation, forwards and backwards",
    "training.weight": "weight and step",
    "evaluation.result": "query and document found",
}
"""What each cost is the cost of one of. Tokens are those of the model that was measured."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one unit of work costs.

    Attributes:
        seconds: by the clock, with all of the machine that the work can use.
        unit: of what.
        source: how it is known.
        bytes: that stay on disk.
        measured: whether it was measured on such a machine; otherwise the source says what it was taken from.
    """

    seconds: float
    unit: str
    source: str
    bytes: float = 0.0
    measured: bool = True


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine.

    Attributes:
        describes: the machine, in a line.
        memory: GiB.
        gpu_memory: GiB of its GPU; 0: it has none.
        dollars: an hour of it, roughly; 0: it is yours.
        source: where the costs come from, unless they say otherwise.
        costs: by the names in ``UNITS``.
    """

    describes: str
    memory: float
    gpu_memory: float
    dollars: float
    source: str
    costs: dict[str, Cost]

    @classmethod
    def find(cls, name: str | None = None) -> Self:
        """A machine.

        Args:
            name: one that comes with this package, or a file; ``None``: this machine where it was measured, else ``DEFAULT``.

        Raises:
            UsageError: there is none of this name, or the file holds something else.
        """
        name = name or (str(own_units()) if own_units().exists() else DEFAULT)
        if name in registries.MACHINES:
            return cls.read(registries.MACHINES[name])
        if not as_path(name).is_file():
            check_choice("machine", name, registries.MACHINES, "A file of `ance-ir bench units` is another")
        return cls.read(as_path(name))

    @classmethod
    def at_hand(cls, *, gpu: bool) -> Self:
        """This machine, where it was measured as it is used now; else one like it that comes with this package.

        Args:
            gpu: whether a GPU is used.
        """
        with contextlib.suppress(UsageError, OSError):
            own = cls.read(own_units())
            if (own.gpu_memory > 0) == gpu:
                return own
        return cls.read(registries.MACHINES[DEFAULT_GPU if gpu else DEFAULT])

    @classmethod
    def read(cls, path: Path) -> Self:
        """The machine in a file.

        Raises:
            UsageError: it holds something else, lacks a cost, or has one of another unit, from another version.
        """
        remedy = "`ance-ir bench units` writes one"
        found = read_typed(path, cls, error=UsageError, remedy=remedy)
        if missing := [name for name in UNITS if name not in found["costs"]]:
            raise UsageError(f"{path}: expected the cost of {missing[0]} ({UNITS[missing[0]]}), found none; {remedy}")
        named = {field.name for field in dataclasses.fields(Cost)}
        for name, unit in UNITS.items():
            if (others := found["costs"][name]["unit"]) != unit:
                raise UsageError(f"{path}: expected the cost of {name} for a {unit}, found one for a {others}; measure again: {remedy}")
        costs = {name: Cost(**{key: one for key, one in cost.items() if key in named}) for name, cost in found["costs"].items()}
        return cls(**{field.name: found[field.name] for field in dataclasses.fields(cls) if field.name != "costs"}, costs=costs)

    def write(self, path: Path) -> None:
        """Write it as a file."""
        write_json(path, dataclasses.asdict(self))

    def seconds(self, counts: Mapping[str, float]) -> float:
        """The time that so many units of each kind take."""
        return sum(count * self.costs[name].seconds for name, count in counts.items())

    def bytes(self, counts: Mapping[str, float]) -> float:
        """What they leave on disk."""
        return sum(count * self.costs[name].bytes for name, count in counts.items())


def own_units() -> Path:
    """Where ``ance-ir bench units`` leaves this machine's costs by default."""
    return cache_folder() / "units.json"
