"""What tuning measured, the Pareto front, and the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ance_ir.eval.tuning.measure import Timing
from ance_ir.indexes.ann.settings import parse_backend


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way of searching an index.

    Attributes:
        backend: as ``AnceIndex.searcher`` takes it.
        recall: share of the exact first k that are found.
        timing: what searching took.
        build_seconds: what building the Faiss index took.
        memory_bytes: of the Faiss index, which is held in memory; of exact search, the vectors, which it reads from disk through its
            cache. Re-scoring reads vectors too, of the rows that it scores.
    """

    backend: str
    recall: float
    timing: Timing
    build_seconds: float
    memory_bytes: int

    @property
    def family(self) -> str:
        """What was built: the backend without its options."""
        return "exact" if self.backend == "exact" else parse_backend(self.backend).family

    def beats(self, other: Measured) -> bool:
        """Whether this is nowhere worse than another in recall, median latency and memory, and somewhere better."""
        mine = (self.recall, -self.timing.median_ms, -self.memory_bytes)
        theirs = (other.recall, -other.timing.median_ms, -other.memory_bytes)
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))

    def values(self) -> dict[str, Any]:
        """All values by column."""
        costs = {"build_seconds": self.build_seconds, "memory_bytes": self.memory_bytes}
        return {"backend": self.backend, "recall": self.recall, **asdict(self.timing), **costs}


@dataclass(frozen=True, kw_only=True, repr=False)
class Tuning:
    """The result of tuning.

    Attributes:
        measured: all settings, exact search first.
        k: documents a query.
        target: the least recall wanted.
        queries: how many were measured.
        documents: of the index.
        threads: that a search may use.
        seconds: what tuning took.
        skipped: families that were not built, or not measured with all their settings, and why.
    """

    measured: Sequence[Measured]
    k: int
    target: float
    queries: int
    documents: int
    threads: int
    seconds: float
    skipped: Mapping[str, str]

    def __repr__(self) -> str:
        chosen = f"{self.chosen.backend} with recall@{self.k} {self.chosen.recall:.4f}"
        return f"Tuning({chosen}, {self.chosen.timing.median_ms:.3g} ms; best of {len(self.measured)})"

    @property
    def front(self) -> list[Measured]:
        """The Pareto front, fastest first: what nothing else beats."""
        best = [one for one in self.measured if not any(other.beats(one) for other in self.measured)]
        return sorted(best, key=lambda one: one.timing.median_ms)

    @property
    def chosen(self) -> Measured:
        """The fastest with at least the target recall; exact search always has it."""
        return next(one for one in self.front if one.recall >= self.target)

    def summary(self) -> dict[str, Any]:
        """The choice and its purpose."""
        purpose = {"k": self.k, "asked_recall": self.target, "queries": self.queries, "documents": self.documents, "threads": self.threads}
        return {**self.chosen.values(), **purpose, "seconds": round(self.seconds, 3), "tried": [one.backend for one in self.measured]}
