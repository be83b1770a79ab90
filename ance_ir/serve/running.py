"""Running the server: from the address to the last answer."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ance_ir.errors import UsageError
from ance_ir.processes import freed_given_back
from ance_ir.serve import observing
from ance_ir.serve.connections import LimitedConnection
from ance_ir.serve.live import Live
from ance_ir.serve.server import Server

_TIDY = 5.0
"""Seconds between two times that freed memory is given back: tens of megabytes are freed meanwhile, and that takes milliseconds."""


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address, before anything is opened that takes time; connections wait until the server runs.

    Args:
        host: a name or an address of this machine.
        port: 0 takes any that is free.

    Raises:
        UsageError: the port is in use, or there is no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(1024)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise UsageError(f"cannot listen at {host}, port {port}: {error.strerror}; choose others with --host and --port") from error
    return listening


def address_of(listening: socket.socket) -> str:
    """The address of a socket, as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: FastAPI, listening: socket.socket) -> None:
    """Answer requests until SIGTERM or Ctrl-C; requests in flight are answered first.

    Args:
        app: what answers, from ``create_app``.
        listening: where.
    """
    server: Server = app.state.server
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=LimitedConnection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(server.limits.seconds) + 1,
    )
    with Live(server), _ending_calmly(), _logging_requests(), freed_given_back(_TIDY):
        uvicorn.Server(config).run(sockets=[listening])
    server.close()


@contextlib.contextmanager
def _ending_calmly() -> Iterator[None]:
    """While entered, a signal ends nothing but the web server, which takes it first and raises it again when it has ended."""

    def passed(number: int, frame: FrameType | None) -> None:
        """The web server has ended."""

    before = {one: signal.signal(one, passed) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def _logging_requests() -> Iterator[None]:
    """While entered, a line of JSON for each request goes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    logger = observing.logger
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
