"""Parts of Faiss families, and the arguments of their functions."""

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
        factory: gives its word in a string of Faiss's ``index_factory``; empty for a part
            that keeps the first dimensions.
        takes: the name of its number in documentation; empty if it takes none.
        needed: whether the number is required.
        bounds: the smallest and the largest number.
        rescored: how many times as many rows as are asked for are scored again with the vectors, by default; 0 where Faiss's scores remain
            inner products of the vectors as they are.
        storage: for a rotation, the storage that goes with it and has the same number.
        rotation: for a storage, gives the word of a rotation that its codes need, in the same string.
        refuses: parts that it cannot be joined with, each with the reason.
    """

    kind: str
    factory: Callable[[Corpus, int | None], str]
    takes: str = ""
    needed: bool = False
    bounds: tuple[int, int] = (1, 9_999_999)
    rescored: int = 2
    storage: str = ""
    rotation: Callable[[Corpus], str] = lambda corpus: ""
    refuses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Structure(Part):
    """A part that decides which vectors a search visits; its layer is recognised in indexes of any factory string.

    Attributes:
        word: how its word in a factory string begins.
        attribute: an attribute that only Faiss's layers of this kind have.
        options: the options of a backend that are for it.
        search: gives Faiss's search parameters for a layer.
        prepare: applies options that a factory string cannot hold to an empty layer.
    """

    word: str
    attribute: str
    options: tuple[str, ...]
    search: Callable[[Any, Request], Any]
    prepare: Callable[[Any, Mapping[str, int]], None] = lambda layer, options: None
