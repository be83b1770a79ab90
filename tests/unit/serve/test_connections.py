"""Connections that are slow, or send too much beside a body, are closed, whatever the application answers."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ance_ir.serve import connections
from ance_ir.serve.connections import LimitedConnection
from ance_ir.serve.running import listen
from tests.listening import app_at

LONG = 2_000_000


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """As many bytes as the path says, before the body has come."""
    content = bytes(int(scope["path"][1:]))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(content)).encode())]})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A connection to a server that has little patience and small buffers."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.2)
    with listen("127.0.0.1", 0) as listening, socket.socket() as client:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(3)  # sooner than connections that wait are closed
        with app_at(answer, listening, http=LimitedConnection, lifespan="off"):
            client.connect(listening.getsockname())
            yield client
            client.close()


def received(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    content = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(1 << 16):
            content += piece
    return content


def test_headers_must_come_in_time(connection: socket.socket) -> None:
    connection.sendall(b"GET /1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    assert received(connection) == b""


def test_headers_must_be_short(connection: socket.socket) -> None:
    connection.sendall(b"GET /1 HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 70_000)
    assert received(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("end", [b"0\r\nX-Long: ", b"0;long="])
def test_what_follows_a_body_must_be_short(connection: socket.socket, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 60.0)
    connection.sendall(b"POST /1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + end)
    with contextlib.suppress(ConnectionError):
        for _ in range(10):
            connection.sendall(b"x" * 10_000)
            time.sleep(0.01)
    assert received(connection).count(b"HTTP/1.1") <= 1


def test_a_body_that_comes_on_after_its_answer_is_cut_off(connection: socket.socket) -> None:
    connection.sendall(b"POST /1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionError):
        for _ in range(40):
            connection.sendall(b"x")
            time.sleep(0.05)


def test_a_connection_goes_on_after_a_body(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(b"POST /1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
        reply = connection.recv(1000)
        while not reply.endswith(b"\0"):
            reply += connection.recv(1000)
        assert reply.startswith(b"HTTP/1.1 200 ")
        time.sleep(0.25)


def test_an_answer_must_be_read(connection: socket.socket) -> None:
    connection.sendall(f"GET /{LONG} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    time.sleep(0.6)
    assert len(received(connection)) < LONG
