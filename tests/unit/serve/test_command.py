"""``ance-ir serve``: what it refuses in one line, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ance_ir.datasets import load_dataset
from ance_ir.serve import running
from ance_ir.serve.app import create_app
from ance_ir.serve.running import listen
from ance_ir.serve.server import Server
from ance_ir.serve.systems import open_systems
from tests.command import Run
from tests.processes import CONTEXT, start
from tests.tiny import reader


def test_names_that_cannot_be_asked_for_and_ports_in_use_are_refused_in_a_line(run: Run, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options, said in (
            (("--system", "bm25", "--port", port), str(port)),
            (("--system", "x=bm25", "--system", "x=bm25", "--port", 0), "'x'"),
            (("--system", f"bm25 >> {folder / 'x.ance'}", "--port", 0), "NAME="),
        ):
            status, shown, error = run("serve", "--dataset", folder / "collection", *options)
            assert (status, shown, error.count("\n")) == (2, "", 1)
            assert said in error


def test_a_system_that_ends_without_a_ranking_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    reader("qa").save(tmp_path / "reader")
    status, _, error = run("serve", "--dataset", folder / "collection", "--system", f"read=bm25 % 3 >> {tmp_path / 'reader'}", "--port", 0)
    assert status == 2 and "read: rankings are served" in error.splitlines()[-1]


@pytest.mark.parametrize(("host", "token"), [("127.0.0.1", None), ("127.0.0.1", "secret"), ("0.0.0.0", None), ("0.0.0.0", "secret")])
def test_the_command_reads_the_token_and_warns_where_others_reach_it(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, host: str, token: str | None
) -> None:
    monkeypatch.setenv("ANCE_IR_TOKEN", token or "")
    apps: list[FastAPI] = []
    monkeypatch.setattr(running, "run", lambda app, listening: apps.append(app))
    status, _, error = run("serve", "--dataset", folder / "collection", "--system", "bm25", "--host", host, "--port", 0)
    assert status == 0
    assert ("no token is asked for" in error) == (host == "0.0.0.0" and token is None)
    with TestClient(apps[0]) as client:
        here, bearer = {"Host": "localhost"}, {"Authorization": f"Bearer {token}"}
        assert client.get("/v1/systems").status_code == (400 if host == "127.0.0.1" else 401 if token else 200)
        assert client.get("/v1/systems", headers=here).status_code == (401 if token else 200)
        assert client.get("/v1/systems", headers=here | bearer).status_code == 200


def serve_slowly(folder: Path, port: Synchronized[int], entered: Event) -> None:
    """A server in a process of its own that takes its time to search; it ends well if the signal that ends it does."""
    dataset = load_dataset(folder / "collection")
    server = Server(dataset, open_systems(dataset, ["bm25"], device="cpu"))
    search = server.search

    async def slow(*arguments: Any, **options: Any) -> Any:
        entered.set()
        await asyncio.sleep(0.3)
        return await search(*arguments, **options)

    server.search = slow  # type: ignore[method-assign]
    listening = listen("127.0.0.1", 0)
    port.value = listening.getsockname()[1]
    before = signal.getsignal(signal.SIGTERM)
    running.run(create_app(server), listening)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_a_signal_lets_requests_in_flight_end(folder: Path) -> None:
    port, entered = CONTEXT.Value("i", 0), CONTEXT.Event()
    process = start(serve_slowly, folder, port, entered)
    until = time.monotonic() + 60
    while not port.value:
        assert process.is_alive() and time.monotonic() < until
        time.sleep(0.01)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(httpx.get, f"http://127.0.0.1:{port.value}/v1/bm25/search", params={"q": "king"}, timeout=60)
        assert entered.wait(60) and process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        assert reply.result().status_code == 200
    process.join(60)
    assert process.exitcode == 0
