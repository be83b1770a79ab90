"""What the routes of all protocols share: the server that they ask, and how answers become JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import Response

from ance_ir.serve.server import Server


class Json(Response):
    """An answer as JSON; lone surrogates, which UTF-8 cannot hold, become question marks."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of an answer."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


async def large_json(make: Callable[[], Any]) -> Json:
    """An answer that takes long to write, made beside the requests of others.

    Args:
        make: gives its content.
    """
    return await asyncio.to_thread(lambda: Json(make()))


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Json:
    """An error as all requests are told it: one line."""
    return Json({"error": " ".join(message.split())}, status_code=status, headers=headers)


async def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


Serving = Annotated[Server, Depends(_server)]
"""The server, as an argument of a route."""
