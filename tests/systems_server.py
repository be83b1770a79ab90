"""A server of systems on 127.0.0.1 that speaks what ``ance_ir.pipelines.Remote`` asks for, and fails as servers do."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

import pandas as pd

from tests.listening import serving_with, url_of

System = Callable[[pd.DataFrame], pd.DataFrame]
"""From queries, or from pairs of a query and a document, to results."""


@dataclass
class SystemsServer:
    """What is served, and how.

    Attributes:
        searching: systems that retrieve, by name.
        scoring: systems that score documents, whose docnos differ, by name.
        failures: what the next requests are answered with, in place of an answer: a status and headers; ``None`` breaks the connection.
        asked: the path, the body and the ``Authorization`` of each request.
        answer: changes what is answered.
        url: its address.
    """

    searching: Mapping[str, System] = field(default_factory=dict)
    scoring: Mapping[str, System] = field(default_factory=dict)
    failures: list[tuple[int, dict[str, str]] | None] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    answer: Callable[[Any], Any] = lambda value: value
    url: str = ""

    def respond(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        _, version, system, action = map(unquote, path.split("/"))
        assert version == "v1"
        systems = {"search": self.searching, "rerank": self.scoring}[action]
        if system not in systems:
            return 404, {"error": f"unknown system {system!r}. Known: {', '.join(systems)}"}
        if action == "search":
            found = systems[system](pd.DataFrame([{"qid": "1", "query": body["query"]}])).head(body["k"])
            return 200, {"results": found[["docno", "rank", "score"]].to_dict("records")}
        scores = systems[system](pd.DataFrame(body["documents"]).assign(qid="1", query=body["query"])).set_index("docno")["score"]
        return 200, {"scores": [scores[document["docno"]] for document in body["documents"]]}


@contextlib.contextmanager
def serving_systems(served: SystemsServer) -> Iterator[SystemsServer]:
    """While entered, it answers; ``served`` may be changed meanwhile."""
    alone = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # an answer is written in two parts

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with alone:
                served.asked.append((self.path, body, self.headers.get("Authorization")))
                failure = served.failures.pop(0) if served.failures else (0, {})
                if failure is None:
                    self.close_connection = True
                    return
                status, headers = failure
                found = {"error": "busy"}
                if not status:
                    status, found = served.respond(self.path, body)
            content = json.dumps(served.answer(found)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with serving_with(Handler) as server:
        served.url = url_of(server)
        yield served
