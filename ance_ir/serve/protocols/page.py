"""The search page, and what it asks for besides searches: the collection's queries and their judgements."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response
from typing_extensions import TypedDict

from ance_ir.serve.limits import QUERY_CHARACTERS
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.requests import Json, Serving

ROUTER = APIRouter(tags=["page"])

PLACES = {"palette.css": "ance_ir.eval.report"}
"""Packages of the page's files that do not lie with it."""
MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}

Asked = Annotated[str, Query(max_length=QUERY_CHARACTERS)]


class Suggestion(TypedDict):
    """A query of the collection."""

    qid: str
    query: str


class Judgements(TypedDict):
    """The labels of a query's documents by docno; those from ``relevant`` on count as relevant. ``qid``: if it is the collection's."""

    qid: str | None
    judgements: dict[str, int]
    relevant: int


@ROUTER.get("/", include_in_schema=False)
def page() -> Response:
    """The search page."""
    return _file("page.html")


@ROUTER.get("/page/{name}", include_in_schema=False)
def part(name: str) -> Response:
    """A file of the search page."""
    return _file(name)


@ROUTER.get("/v1/queries", response_model=list[Suggestion])
def queries(server: Serving, prefix: Asked = "", limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Json:
    """Queries of the collection that begin with a text, then those with a word that does."""
    return Json(server.topics.suggest(prefix, limit))


@ROUTER.get("/v1/judgements", response_model=Judgements)
def judgements(server: Serving, query: Asked) -> Json:
    """The judgements of the collection's query with this text."""
    return Json(vars(server.topics.judgements(query)))


def _file(name: str) -> Response:
    if name not in _names():
        raise Refusal(404, f"the page has no file {name!r}")
    return Response(_read(name), media_type=MEDIA_TYPES[name.rpartition(".")[2]], headers=HEADERS)


@cache
def _names() -> frozenset[str]:
    """The files of the page: nothing else is read, whatever is asked for."""
    here = (entry.name for entry in files("ance_ir.serve.page").iterdir())
    return frozenset(PLACES) | {name for name in here if name.rpartition(".")[2] in MEDIA_TYPES}


@cache
def _read(name: str) -> bytes:
    return (files(PLACES.get(name, "ance_ir.serve.page")) / name).read_bytes()
