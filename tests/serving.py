"""A server of one file on 127.0.0.1 that fails as servers do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.listening import serving_with, url_of


@dataclass
class Served:
    """What is served, and how.

    Attributes:
        content: of the file.
        resumes: whether it gives ranges.
        cut: bytes after which each connection breaks; 0: none does.
        status: to answer with, in place of the file; 0: the file.
        asked: the first byte that each request asked for.
        url: its address.
    """

    content: bytes
    resumes: bool = True
    cut: int = 0
    status: int = 0
    asked: list[int] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serving(served: Served) -> Iterator[Served]:
    """While entered, the file is there; ``served`` may be changed meanwhile."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            served.asked.append(first)
            if served.status:
                self.send_error(served.status)
                return
            begin = first if served.resumes else 0
            part = served.content[begin:]
            self.send_response(206 if served.resumes else 200)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part[: served.cut] if served.cut else part)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with serving_with(Handler) as server:
        served.url = f"{url_of(server)}/file.tar.gz"
        yield served
