"""The server's own paths, under /v1: search and documents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ance_ir.serve.limits import DOCNO_CHARACTERS, QUERY_CHARACTERS, RESULTS
from ance_ir.serve.replies import DocumentReply, Found, State, SystemsReply
from ance_ir.serve.requests import Json, Serving

ROUTER = APIRouter(prefix="/v1", tags=["search"])

System = Annotated[str, Path(description="The name of a system, one of /v1/systems.")]
Docno = Annotated[str, Path(description="A docno, percent-encoded.", max_length=DOCNO_CHARACTERS)]
Count = Annotated[int, Field(ge=1, le=RESULTS, description="Documents, at most.")]
Offset = Annotated[int, Field(ge=0, le=RESULTS, description="Documents before the first that is shown.")]
Text = Annotated[str, Field(max_length=QUERY_CHARACTERS, description="The query.")]


class Asked(BaseModel):
    """A search."""

    model_config = ConfigDict(extra="forbid")
    query: Text
    k: Count = 10
    offset: Offset = 0
    snippets: Annotated[bool, Field(description="Show titles, snippets and passages.")] = True


@ROUTER.get("/systems", response_model=SystemsReply)
async def systems(server: Serving) -> Json:
    """The collection, and the systems over it."""
    return Json(server.described())


@ROUTER.head("/health", include_in_schema=False)
@ROUTER.get("/health", response_model=State)
async def health() -> Json:
    """Whether the server is alive."""
    return Json({"status": "ok"})


@ROUTER.head("/ready", include_in_schema=False)
@ROUTER.get("/ready", response_model=State)
async def ready(server: Serving) -> Json:
    """Whether all systems are loaded; 503 says for which to wait, while the others answer."""
    server.check_ready()
    return Json({"status": "ok"})


@ROUTER.get("/{system}/search", response_model=Found)
async def search_by_address(
    server: Serving, system: System, q: Annotated[str, Query(max_length=QUERY_CHARACTERS)], k: Count = 10, offset: Offset = 0
) -> Json:
    """The best documents for a query."""
    return Json(await server.search(system, q, k, offset))


@ROUTER.post("/{system}/search", response_model=Found)
async def search(server: Serving, system: System, asked: Asked) -> Json:
    """The best documents for a query."""
    return Json(await server.search(system, asked.query, asked.k, asked.offset, snippets=asked.snippets))


@ROUTER.get("/{system}/documents/{docno:path}", response_model=DocumentReply)
async def document(
    server: Serving,
    system: System,
    docno: Docno,
    query: Annotated[str | None, Query(max_length=QUERY_CHARACTERS, description="For which passages are scored.")] = None,
) -> Json:
    """A document of the system's index."""
    return Json(await server.document(system, docno, query))
