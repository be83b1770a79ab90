"""Anserini's and Pyserini's REST paths, for their clients: systems are their indexes.

Ranks are counted from 1. Version 1 of the API is that of Pyserini's ``pyserini.server.rest``; the older one, at /api/v1.0, that of
Anserini's ``ControllerV1_0``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import Scope

from ance_ir.serve.limits import QUERY_CHARACTERS, RESULTS
from ance_ir.serve.requests import Json, Serving
from ance_ir.serve.server import Server


class _AskedByQuery(APIRoute):
    """A route for requests with the parameter ``query``: at its path our own have ``q``."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is meant."""
        found, inner = super().matches(scope)
        meant = found is Match.NONE or "query" in HTTPConnection(scope).query_params
        return (found, inner) if meant else (Match.NONE, {})


ROUTER = APIRouter(tags=["Anserini"])
_SEARCH = APIRouter(route_class=_AskedByQuery, include_in_schema=False)  # a description has a path once

Hits = Annotated[int, Query(ge=1, le=RESULTS)]
Asked = Annotated[str, Query(max_length=QUERY_CHARACTERS)]


@_SEARCH.get("/v1/{index}/search")
async def search(server: Serving, index: str, query: Asked, hits: Hits = 10, parse: bool = True) -> Json:
    """The best documents for a query, with their texts."""
    candidates = await _candidates(server, index, query, hits, parse=parse)
    return Json({"api": "v1", "index": index, "query": {"text": query}, "candidates": candidates})


@ROUTER.get("/v1/{index}/doc/{docid:path}")
async def document(server: Serving, index: str, docid: str, parse: bool = True) -> Json:
    """A document."""
    found = server.documents(index, [docid])[0]
    return Json({"api": "v1", "index": index, "docid": docid, "doc": _shown(found, parse=parse)})


@ROUTER.get("/api/v1.0/indexes/{index}/search")
async def search_older(server: Serving, index: str, query: Asked, hits: Hits = 10, qid: str = "") -> Json:
    """The same in the older version."""
    return Json({"query": {"qid": qid, "text": query}, "candidates": await _candidates(server, index, query, hits, parse=True)})


@ROUTER.get("/api/v1.0/indexes/{index}/documents/{docid:path}")
async def document_older(server: Serving, index: str, docid: str) -> Json:
    """A document, in the older version."""
    return Json(_shown(server.documents(index, [docid])[0], parse=True))


@ROUTER.get("/api/v1.0/indexes")
async def indexes(server: Serving) -> Json:
    """All systems, as indexes."""
    systems = server.described()["systems"]
    return Json({one["name"]: {"indexName": one["name"], "description": one["text"], "cached": one["ready"]} for one in systems})


ROUTER.include_router(_SEARCH)


async def _candidates(server: Server, index: str, query: str, hits: int, *, parse: bool) -> list[dict[str, Any]]:
    found = await server.search(index, query, hits, snippets=False)
    texts = await asyncio.to_thread(server.texts, [one["docno"] for one in found["results"]])
    return [
        {"docid": one["docno"], "score": one["score"], "rank": one["rank"] + 1, "doc": _shown(text, parse=parse)}
        for one, text in zip(found["results"], texts, strict=True)
    ]


def _shown(document: Mapping[str, str] | None, *, parse: bool) -> Any:
    """A document as Anserini shows it: its fields without the id; the text alone where there is nothing else; raw, as stored JSON."""
    if document is None:
        return None
    fields = {("contents" if name == "text" else name): value for name, value in document.items() if name != "docno"}
    if not parse:
        return Json(None).render({"id": document["docno"], **fields}).decode()
    return fields["contents"] if len(fields) == 1 else fields
