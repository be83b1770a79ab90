"""Connections that are slow, or send too much beside a body: what the web server leaves to be limited."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LOOSE_BYTES = 64 << 10
"""Of a request, its address included, before its body, between two pieces of that, and after it."""
HEADER_SECONDS = 10.0
"""From the connection, or the first byte of a further request, to the end of the headers; from an answer to the end of what it answers."""
ANSWER_SECONDS = 60.0
"""In which a client reads what waits to be sent."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedConnection(HttpToolsProtocol):
    """A connection whose headers must come in time, and be short, and whose answers must be read."""

    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _loose_bytes = 0
    _within: Literal["headers", "body", "nothing"] = "headers"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._stop_reading()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse headers that go on and on, and what follows a body, such as trailers."""
        self._loose_bytes += len(data)
        super().data_received(data)
        if self._loose_bytes > LOOSE_BYTES and not self.transport.is_closing():
            if self._within == "headers":
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._within = "headers"
        if self._deadline is None:
            self._loose_bytes = 0
            self._wait()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers, which come after the application has looked at the headers, are none of them."""
        if self._within == "headers":
            super().on_header(name, value)

    def on_headers_complete(self) -> Any:
        """The rest is the body, which the application limits."""
        self._within = "body"
        self._stop_waiting()
        return super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._loose_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._within = "nothing"
        self._loose_bytes = 0
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Nobody reads the rest of a body that is answered; it may come for a while, so that its sender gets to read the answer."""
        super().on_response_complete()
        if self._within == "body" and self.cycle.response_complete:
            self._wait()

    def pause_writing(self) -> None:
        """The client reads more slowly than the answer comes."""
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read nearly all."""
        self._stop_reading()
        super().resume_writing()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
