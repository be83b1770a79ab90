"""The Model Context Protocol: tools with which agents search a fixed corpus (modelcontextprotocol.io), by its official package."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Annotated, cast

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field
from typing_extensions import TypedDict

from ance_ir import __version__
from ance_ir.errors import AnceError
from ance_ir.serve.limits import DOCNO_CHARACTERS, QUERY_CHARACTERS
from ance_ir.serve.replies import Found, Result
from ance_ir.serve.server import Server

_SHOWN = 20_000
"""Characters of a document that come at a time: some 5,000 tokens of an agent's context."""
_DEEPEST = 100
_READING = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

Query = Annotated[str, Field(max_length=QUERY_CHARACTERS, description="What is sought, in words: a question or key words.")]
System = Annotated[str | None, Field(description="The name of a search system; the first one by default.")]
Count = Annotated[int, Field(ge=1, le=_DEEPEST, description="Documents, at most.")]


class Hit(TypedDict):
    """A document that was found; ``rank`` is 0 for the best one."""

    rank: int
    docno: str
    title: str | None
    score: float
    snippet: str


class Hits(TypedDict):
    """What one system found."""

    system: str
    results: list[Hit]


class Part(TypedDict):
    """A document's text from the character ``start`` up to ``end``, of ``characters`` in all."""

    docno: str
    title: str | None
    text: str
    start: int
    end: int
    characters: int


class Compared(TypedDict):
    """A document, and its rank in each system: 0 for the best one, ``null`` where it is not among the first k."""

    docno: str
    title: str | None
    snippet: str
    ranks: dict[str, int | None]


class Comparison(TypedDict):
    """The documents that systems found, those that are found nearest to the top first."""

    systems: list[str]
    results: list[Compared]


class Tools:
    """The tools of a server; the docstrings of the methods are what agents read.

    Args:
        server: what they ask.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    async def search(self, query: Query, system: System = None, k: Count = 10) -> Hits:
        """Search the corpus. Gives the best documents, best first, each with its docno, title, score and a snippet."""
        with _told():
            found = await self._server.search(self._name(system), query, k)
        return {
            "system": found["system"],
            "results": [
                {"rank": one["rank"], "docno": one["docno"], "title": one["title"], "score": one["score"], "snippet": one["snippet"]}
                for one in _results(found)
            ],
        }

    async def get_document(
        self,
        docno: Annotated[str, Field(max_length=DOCNO_CHARACTERS, description="The docno, as search gives it.")],
        system: System = None,
        start: Annotated[int, Field(ge=0, description="The character to begin at, to read on in a long document.")] = 0,
    ) -> Part:
        """Read a document. Of a long one, a part comes at a time: call again with start = the end that was given."""
        with _told():
            document = await self._server.document(self._name(system), docno)
        text = document["text"]
        shown = text[start : start + _SHOWN]
        return {
            "docno": docno,
            "title": document["title"],
            "text": shown,
            "start": min(start, len(text)),
            "end": min(start, len(text)) + len(shown),
            "characters": len(text),
        }

    async def compare(
        self,
        query: Query,
        systems: Annotated[list[str] | None, Field(description="Names of search systems; all by default.")] = None,
        k: Count = 10,
    ) -> Comparison:
        """Search with several systems, and see at which rank each of them finds a document."""
        names = list(dict.fromkeys(systems or self._server.systems))
        with _told():
            found = await asyncio.gather(*(self._server.search(name, query, k) for name in names))
        ranks: dict[str, dict[str, int | None]] = {}
        shown: dict[str, Result] = {}
        for name, hits in zip(names, found, strict=True):
            for one in _results(hits):
                ranks.setdefault(one["docno"], dict.fromkeys(names))[name] = one["rank"]
                shown.setdefault(one["docno"], one)
        best = sorted(ranks, key=lambda docno: sorted(k if rank is None else rank for rank in ranks[docno].values()))
        results: list[Compared] = [
            {"docno": docno, "title": shown[docno]["title"], "snippet": shown[docno]["snippet"], "ranks": ranks[docno]} for docno in best
        ]
        return {"systems": names, "results": results}

    def _name(self, system: str | None) -> str:
        return next(iter(self._server.systems)) if system is None else system


def mcp_server(server: Server) -> MCPServer:
    """A server of the Model Context Protocol, for any of its transports: ``run_stdio_async()`` for one.

    Args:
        server: what its tools ask.
    """
    described = server.described()
    systems = "; ".join(f"{one['name']} ({one['text']})" for one in described["systems"])
    instructions = f"Search over {described['documents']:,} documents of {described['dataset']}. Systems: {systems}."
    with _logging_as_it_was():
        made: MCPServer = MCPServer("ance-ir", version=__version__, instructions=instructions)
    tools = Tools(server)
    for tool in (tools.search, tools.get_document, tools.compare):
        made.add_tool(tool, annotations=_READING)
    return made


def _results(found: Found) -> list[Result]:
    return cast(list[Result], found["results"])  # without titles only where that is asked for


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """While entered, an error of ours becomes the answer of the tool, which agents read and mend their question by."""
    try:
        yield
    except AnceError as error:
        raise ToolError(" ".join(str(error).split())) from error


@contextlib.contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Undo what the package does to the root logger while entered."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
