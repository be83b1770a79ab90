"""What requests are answered with, as JSON has it; the OpenAPI page is made from these types."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class Passage(TypedDict):
    """A passage of a document: characters ``start`` up to ``end`` of its text."""

    number: int
    start: int
    end: int
    score: float | None


class Result(TypedDict):
    """A document that was found; ``rank`` is 0 for the best one. ``passage`` is the one that scored best, where documents have several."""

    docno: str
    rank: int
    score: float
    title: str | None
    snippet: str
    passage: Passage | None


class BareResult(TypedDict):
    """A document that was found, without anything of its text."""

    docno: str
    rank: int
    score: float


class StageTime(TypedDict):
    """A stage of a system, and how long it took for all queries that were computed together."""

    name: str
    milliseconds: float


class Times(TypedDict):
    """How long a search took, waiting included, and its stages."""

    total: float
    stages: list[StageTime]


class Found(TypedDict):
    """The results of a search."""

    system: str
    query: str
    k: int
    offset: int
    results: list[Result] | list[BareResult]
    milliseconds: Times


class DocumentReply(TypedDict):
    """A document. ``passages`` are those that vectors were made of, where the system has vectors; scores, where a query was given."""

    docno: str
    title: str | None
    text: str
    passages: list[Passage]


class Vectors(TypedDict):
    """Vectors of texts, in their order."""

    vectors: list[list[float]]
    dimension: int
    similarity: str


class Scores(TypedDict):
    """Scores of texts or documents, in the order in which they were given."""

    scores: list[float]


class SystemReply(TypedDict):
    """A system: what can be asked of it, and whether it is ready. If not, its index is being built: ``done`` of ``total`` documents are in
    it (0 of 0: that has not begun), or why it could not be is the ``error``.
    """

    name: str
    text: str
    offers: list[str]
    ready: bool
    done: NotRequired[int]
    total: NotRequired[int]
    error: NotRequired[str]


class SystemsReply(TypedDict):
    """All systems, over one collection."""

    dataset: str
    documents: int
    systems: list[SystemReply]


class State(TypedDict):
    """``ok`` or what there is to wait for."""

    status: str


class ErrorReply(TypedDict):
    """Why a request is refused, in one line."""

    error: str
