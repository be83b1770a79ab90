"""Who may ask, and how much may come with a request; and what browsers are told of every answer."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Collection

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ance_ir.serve.limits import Limits
from ance_ir.serve.requests import error

OPEN = ("/", "/docs", "/openapi.json", "/v1/health", "/v1/ready")
"""Paths, with what is below /page/, that are answered without a token: they show nothing of the collection."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


class Guard:
    """Stands before the application.

    Args:
        app: the application.
        limits: of the body, and of the time in which it must come.
        token: what requests must bring as ``Authorization: Bearer``; ``None``: nothing.
        hosts: beside this machine's own names, those by which it may be called; ``None``: any. On a loopback address there are none, so
            that no page of a name that someone pointed there can read answers (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, limits: Limits, *, token: str | None = None, hosts: Collection[str] | None = None) -> None:
        self._app = app
        self._limits = limits
        self._token = None if token is None else f"Bearer {token}".encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        refused = self._refused_host(headers) or self._refused_token(scope["path"], headers) or self._refused_body(headers)
        await (refused or self._app)(scope, self._limited(receive), send_with_headers)

    def _refused_host(self, headers: Headers) -> ASGIApp | None:
        host = headers.get("host", "localhost").rpartition(":")
        name = host[0] if host[0] and host[2].isdigit() else "".join(host)
        if self._hosts is None or is_loopback(name) or name.lower() in self._hosts:
            return None
        return error(400, f"this server is not called {name!r}; ask for it by the address that it printed at its start")

    def _refused_token(self, path: str, headers: Headers) -> ASGIApp | None:
        given = headers.get("authorization", "").encode("latin-1", "replace")
        if self._token is None or path in OPEN or path.startswith("/page/") or hmac.compare_digest(given, self._token):
            return None
        return error(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    def _refused_body(self, headers: Headers) -> ASGIApp | None:
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) <= self._limits.body:
            return None
        return error(413, self._too_long)

    @property
    def _too_long(self) -> str:
        return f"a body has {self._limits.body:,} bytes at most; send less at once"

    def _limited(self, receive: Receive) -> Receive:
        """Reads a body that is neither too long nor too slow."""
        read, until = 0, asyncio.get_running_loop().time() + self._limits.seconds
        complete = False

        async def limited() -> Message:
            nonlocal read, complete
            if complete:  # what comes now is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {self._limits.seconds:g} s") from None
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if read > self._limits.body:
                raise HTTPException(413, self._too_long)
            return message

        return limited
