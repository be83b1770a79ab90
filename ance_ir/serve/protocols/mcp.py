"""The Model Context Protocol at ``/mcp``: streamable HTTP without sessions, each answer in one piece of JSON."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import APIRouter, FastAPI
from mcp.server.transport_security import TransportSecuritySettings
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ance_ir.serve.mcp import mcp_server

PATH = "/mcp"


class _Endpoint:
    """Hands requests to what the lifespan has made."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].state.mcp(scope, receive, send)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    mcp = mcp_server(app.state.server)
    elsewhere = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the application protects all its paths
    made = mcp.streamable_http_app(streamable_http_path=PATH, stateless_http=True, json_response=True, transport_security=elsewhere)
    made.add_exception_handler(HTTPException, app.exception_handlers[HTTPException])
    app.state.mcp = made
    async with mcp.session_manager.run():
        yield


ROUTER = APIRouter(routes=[Route(PATH, _Endpoint(), include_in_schema=False)], lifespan=_lifespan)
