"""Running the server: from the address to the last answer."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from ance_ir.errors import UsageError


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address, before anything is opened that takes time.

    Args:
        host: a name or an address of this machine.
        port: 0 takes any that is free.

    Raises:
        UsageError: the port is in use, or there is no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UsageError(f"cannot listen at {host}, port {port}: {error.strerror}; choose others with --host and --port") from error
    return listening


def run(app: FastAPI, listening: socket.socket) -> None:
    """Answer requests until SIGTERM or Ctrl-C; requests in flight are answered first.

    Args:
        app: what answers.
        listening: where.
    """
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, date_header=False, timeout_graceful_shutdown=30)
    uvicorn.Server(config).run(sockets=[listening])
    app.state.server.close()
