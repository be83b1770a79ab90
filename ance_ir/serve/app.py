"""The web application: the routes of all protocols, and errors as one line of JSON."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ance_ir import __version__
from ance_ir.errors import AnceError
from ance_ir.registries import PROTOCOLS
from ance_ir.serve.refusals import Refusal
from ance_ir.serve.replies import ErrorReply
from ance_ir.serve.requests import Json
from ance_ir.serve.server import Server

logger = logging.getLogger(__name__)

_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply, "description": description}
    for status, description in {
        400: "The request cannot be understood.",
        404: "There is no such system or document.",
        409: "The system does not offer that.",
        413: "The body is too long.",
        422: "A value is not as expected.",
        503: "Too many requests wait, or the answer took too long; Retry-After says when to ask again.",
    }.items()
}


def create_app(server: Server) -> FastAPI:
    """The application of a server, for any ASGI server.

    Args:
        server: what is asked.
    """
    app = FastAPI(title="ance-ir", version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json", responses=_REFUSED)
    app.state.server = server
    for router in PROTOCOLS.values():
        app.include_router(router)
    app.add_exception_handler(AnceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(Exception, _broken)
    return app


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Json:
    """An error as all requests are told it: one line."""
    return Json({"error": " ".join(message.split())}, status_code=status, headers=headers)


async def _refused(request: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, Refusal):
        return error(400, str(refusal))
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
