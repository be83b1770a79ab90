"""What a part of a Faiss family is, and what its functions are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("dimensions", "rotation", "structure", "storage")
"""In the order of a family's name; a family has at most one part of each kind."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The vectors that a Faiss index is built of.

    Attributes:
        rows: how many there are.
        kept: their dimensions, after the family's part of the kind ``dimensions``.
        sample: how many of them can train the index, at most.
    """

    rows: int
    kept: int
    sample: int


@dataclass(frozen=True, kw_only=True)
class Request:
    """A search of one layer of a Faiss index.

    Attributes:
        count: rows to find.
        rows: rows that the index holds.
        share: of these, the share that Faiss may find; 1 where it may find all.
        selecting: further arguments of Faiss's search parameters.
        options: the options of the backend that were given.
    """

    count: int
    rows: int
    share: float
    selecting: Mapping[str, Any]
    options: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a family.

    Attributes:
        kind: one of ``KINDS``.
        factory: its word in a string of Faiss's ``index_factory``, of its number; empty for one
            that leaves the first of the dimensions.
        takes: what its number is, as documentation writes it; empty if it takes none.
        needed: whether the number may not be left out.
        bounds: the smallest and the largest number.
        lossless: whether Faiss's scores remain inner products of the vectors as they are.
        storage: of a rotation, the storage that goes with it, under the same number.
        refuses: parts that it does not go with, each with the reason.
    """

    kind: str
    factory: Callable[[Corpus, int | None], str]
    takes: str = ""
    needed: bool = False
    bounds: tuple[int, int] = (1, 9_999_999)
    lossless: bool = False
    storage: str = ""
    refuses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Structure(Part):
    """A part that decides which vectors a search looks at; its layer is recognised in indexes of any factory string.

    Attributes:
        word: how its words in factory strings begin.
        attribute: the attribute that Faiss's class of such layers has and others lack.
        options: the names of the backend's options that are for it.
        search: Faiss's search parameters for a layer.
        prepare: sets on an empty layer what the factory string cannot say, of the options that were given.
    """

    word: str
    attribute: str
    options: tuple[str, ...]
    search: Callable[[Any, Request], Any]
    prepare: Callable[[Any, Mapping[str, int]], None] = lambda layer, options: None
