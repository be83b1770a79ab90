"""Servers on 127.0.0.1, each in a thread of this process for as long as a block is entered."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextlib.contextmanager
def serving_with(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """A server of the standard library."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def url_of(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@contextlib.contextmanager
def app_at(app: Any, listening: socket.socket, **config: Any) -> Iterator[None]:
    """An ASGI application, at a socket that listens already.

    Args:
        app: answers.
        listening: where.
        config: of ``uvicorn.Config``.
    """
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", **config))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
