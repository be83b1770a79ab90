"""Load: clients in one process that ask a server as fast as it answers, over connections that stay open."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


@dataclass(kw_only=True)
class Load:
    """What clients saw.

    Attributes:
        seconds: from the first request to the last answer.
        milliseconds: of each request.
        statuses: how many requests got which HTTP status; ``0``: the connection broke.
    """

    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, percent: float) -> float:
        """Milliseconds within which so many percent of the requests were answered."""
        return float(np.percentile(self.milliseconds, percent))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What clients do.

    Attributes:
        port: of the server, on 127.0.0.1.
        path: that is posted to.
        bodies: of the requests, in turn.
        clients: how many ask at a time; each waits for its answer before it asks again.
        seconds: after which no more is asked.
        requests: after how many no more is asked; ``None``: time alone ends it.
    """

    port: int
    path: str
    bodies: Sequence[dict[str, Any]]
    clients: int = 1
    seconds: float = 60.0
    requests: int | None = None


def ask(asked: Asked) -> Load:
    """Put load on a server; to be called in a process of its own."""
    return asyncio.run(_ask(asked))


async def _ask(asked: Asked) -> Load:
    found, began = Load(), time.perf_counter()
    requests = _requests(asked, began)
    await asyncio.gather(*(_client(asked.port, requests, found) for _ in range(asked.clients)))
    found.seconds = time.perf_counter() - began
    return found


def _requests(asked: Asked, began: float) -> Iterator[bytes]:
    """The requests, which all clients draw from."""
    made = [_request(asked.path, json.dumps(body).encode()) for body in asked.bodies]
    sent = 0
    while time.perf_counter() - began < asked.seconds and (asked.requests is None or sent < asked.requests):
        yield made[sent % len(made)]
        sent += 1


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _client(port: int, requests: Iterator[bytes], found: Load) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        began = time.perf_counter()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            assert length is not None
            await reader.readexactly(int(length[1]))
        except (ConnectionError, asyncio.IncompleteReadError):
            found.statuses[0] += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        found.milliseconds.append(1000 * (time.perf_counter() - began))
        found.statuses[int(head[9:12])] += 1
    writer.close()
    await writer.wait_closed()
