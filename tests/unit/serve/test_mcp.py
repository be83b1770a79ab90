"""The Model Context Protocol, by the package's own client: in memory, over HTTP and over standard input and output."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ance_ir.indexes import AnceIndex
from ance_ir.serve.server import Server

mcp = pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters, stdio_client  # noqa: E402

from ance_ir.serve.mcp import mcp_server  # noqa: E402


def asked(server: Server, ask: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """What a client in memory gets."""

    async def run() -> Any:
        async with Client(mcp_server(server)) as client:
            return await ask(client)

    return asyncio.run(run())


def called(server: Server, tool: str, **arguments: Any) -> Any:
    answer = asked(server, lambda client: client.call_tool(tool, arguments))
    assert not answer.is_error, answer.content
    return answer.structured_content


def test_the_tools_are_described(server: Server) -> None:
    tools = {tool.name: tool for tool in asked(server, lambda client: client.list_tools()).tools}
    assert tools.keys() == {"search", "get_document", "compare"}
    for tool in tools.values():
        assert tool.description and tool.output_schema
        assert tool.annotations.read_only_hint
        assert all(one.get("description") for one in tool.input_schema["properties"].values())
    assert tools["search"].input_schema["required"] == ["query"]


def test_search_gives_what_the_server_gives(server: Server) -> None:
    found = called(server, "search", query="king of the river", system="dense", k=3)
    expected = asyncio.run(server.search("dense", "king of the river", 3))["results"]
    assert found["system"] == "dense"
    assert found["results"] == [{name: one[name] for name in ("rank", "docno", "title", "score", "snippet")} for one in expected]
    assert called(server, "search", query="king")["system"] == next(iter(server.systems))


def test_a_document_comes_in_parts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.serve.mcp._SHOWN", 50)
    whole = asyncio.run(server.document("bm25", "d/7"))["text"]
    parts, start = [], 0
    while start < len(whole):
        part = called(server, "get_document", docno="d/7", start=start)
        assert part["start"] == start and part["characters"] == len(whole)
        parts.append(part["text"])
        start = part["end"]
    assert len(parts) > 1 and "".join(parts) == whole
    assert called(server, "get_document", docno="d/7", start=10**9)["text"] == ""


def test_systems_are_compared(server: Server) -> None:
    found = called(server, "compare", query="king of the river", systems=["bm25", "dense"], k=5)
    assert found["systems"] == ["bm25", "dense"]
    ranks = {one["docno"]: one["ranks"] for one in found["results"]}
    for name in found["systems"]:
        expected = {one["docno"]: one["rank"] for one in asyncio.run(server.search(name, "king of the river", 5))["results"]}
        assert {docno: rank[name] for docno, rank in ranks.items() if rank[name] is not None} == expected
    best = [min(rank for rank in one.values() if rank is not None) for one in ranks.values()]
    assert best == sorted(best)
    assert called(server, "compare", query="unheard")["systems"] == list(server.systems)


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("search", {"query": "king", "system": "none"}, "none"),
        ("search", {"query": "king", "k": 0}, "k"),
        ("search", {}, "query"),
        ("get_document", {"docno": "nowhere"}, "nowhere"),
        ("compare", {"query": "king", "systems": ["bm25", "none"]}, "none"),
    ],
)
def test_a_mistake_is_told(server: Server, tool: str, arguments: dict[str, Any], named: str) -> None:
    answer = asked(server, lambda client: client.call_tool(tool, arguments))
    assert answer.is_error
    assert named in answer.content[0].text


def test_it_leaves_logging_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    mcp_server(server)
    assert root.handlers == []


def test_over_http(client: TestClient) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search", "arguments": {"query": "king", "k": 2}}}
    answer = client.post("/mcp", json=body, headers={"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"})
    assert answer.status_code == 200
    assert len(answer.json()["result"]["structuredContent"]["results"]) == 2


@pytest.mark.slow
def test_over_standard_input_and_output_an_index_that_changes_is_seen(folder: Path, tmp_path: Path) -> None:
    index = AnceIndex(shutil.copytree(folder / "x.ance", tmp_path / "live.ance"))
    arguments = ["-m", "ance_ir", "mcp", "--dataset", str(folder / "collection"), "--system", f"dense={index.folder}"]

    async def run() -> None:
        async def found() -> list[str]:
            answer = await client.call_tool("search", {"query": "king", "k": 2})
            return [one["docno"] for one in answer.structured_content["results"]]

        started = StdioServerParameters(command=sys.executable, args=arguments, cwd=str(Path(__file__).parents[3]))
        async with Client(stdio_client(started)) as client:
            first, second = await found()
            index.delete([first])
            async with asyncio.timeout(60):
                while (await found())[0] != second:
                    await asyncio.sleep(0.2)

    asyncio.run(run())
