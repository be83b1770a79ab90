"""The web application: the routes of all protocols, and errors as one line of JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from ance_ir import __version__
from ance_ir.errors import AnceError, DocumentNotFoundError, UsageError
from ance_ir.registries import PROTOCOLS
from ance_ir.serve.guard import Guard
from ance_ir.serve.observing import Observer
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.replies import ErrorReply
from ance_ir.serve.requests import error
from ance_ir.serve.server import Server

_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply, "description": description}
    for status, description in {
        400: "The request cannot be understood, or the server is called by a name that is not its own.",
        401: "A token is needed.",
        404: "There is no such system or document.",
        409: "The system does not offer that.",
        408: "The body came too slowly.",
        413: "The body is too long.",
        422: "A value is not as expected.",
        503: "Too many requests wait, or the system is not ready; Retry-After says when to ask again.",
        504: "The answer took too long.",
    }.items()
}


def create_app(server: Server, *, token: str | None = None, hosts: Collection[str] | None = None, origins: Sequence[str] = ()) -> FastAPI:
    """The application of a server, for any ASGI server.

    Args:
        server: what is asked.
        token: what requests must bring; see ``Guard``.
        hosts: the names by which it may be called; see ``Guard``.
        origins: of pages elsewhere that may ask (CORS); by default none.
    """
    app = FastAPI(
        title="ance-ir",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=_REFUSED,
        dependencies=[] if token is None else [Security(HTTPBearer(auto_error=False))],  # described here, asked for by the guard
    )
    app.state.server = server
    for router in PROTOCOLS.values():
        app.include_router(router)
    for kind, answer in ((AnceError, _refused), (RequestValidationError, _invalid), (HTTPException, _failed), (Exception, _broken)):
        app.add_exception_handler(kind, answer)
    app.add_middleware(Guard, limits=server.limits, token=token, hosts=hosts)
    if origins:  # before the guard: browsers ask whether they may send a token without sending it
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"])
    app.add_middleware(Observer, metrics=server.metrics)
    return app


async def _refused(request: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, Refusal):
        known = {UsageError: 400, DocumentNotFoundError: 404}
        return error(next((status for kind, status in known.items() if isinstance(refusal, kind)), 500), str(refusal))
    headers = None if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    return error(refusal.status, str(refusal), headers)


async def _invalid(request: Request, invalid: Exception) -> Response:
    assert isinstance(invalid, RequestValidationError)
    faults = [f"{'.'.join(map(str, fault['loc'][1:])) or fault['loc'][0]}: {fault['msg']}" for fault in invalid.errors()]
    return error(422, "; ".join(faults[:3]))


async def _failed(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, HTTPException)
    return error(failure.status_code, str(failure.detail), dict(failure.headers or {}))


async def _broken(request: Request, failure: Exception) -> Response:
    return error(500, f"the server failed at this request ({type(failure).__name__}); its log has the reason")
