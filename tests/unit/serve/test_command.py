"""``ance-ir serve``: what it refuses in one line, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from ance_ir.serve import running
from ance_ir.serve.app import create_app
from ance_ir.serve.running import address_of, listen
from ance_ir.serve.server import Server
from tests.command import Run


def test_names_that_come_twice_and_ports_in_use_are_refused_in_a_line(run: Run, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options in (("--system", "bm25", "--port", port), ("--system", "x=bm25", "--system", "x=bm25", "--port", 0)):
            status, shown, error = run("serve", "--dataset", folder / "collection", *options)
            assert (status, shown, error.count("\n")) == (2, "", 1)
            assert str(port) in error or "x" in error


def test_a_signal_lets_requests_in_flight_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: the signal comes while a request is computed, and its answer comes all the same."""
    monkeypatch.setattr(server, "close", lambda: None)  # the other tests need it
    search, entered = server.search, threading.Event()

    async def slow(*arguments: Any, **options: Any) -> Any:
        entered.set()
        await asyncio.sleep(0.3)
        return await search(*arguments, **options)

    monkeypatch.setattr(server, "search", slow)
    listening = listen("127.0.0.1", 0)
    replies: list[httpx.Response] = []

    def ask() -> None:
        replies.append(httpx.get(f"{address_of(listening)}/v1/bm25/search", params={"q": "king"}, timeout=20))

    def end() -> None:
        assert entered.wait(20)
        os.kill(os.getpid(), signal.SIGTERM)

    threads = [threading.Thread(target=ask), threading.Thread(target=end)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    before = signal.getsignal(signal.SIGTERM)
    running.run(create_app(server), listening)
    for thread in threads:
        thread.join()
    assert replies[0].status_code == 200
    assert time.monotonic() - started < 20
    assert signal.getsignal(signal.SIGTERM) is before
