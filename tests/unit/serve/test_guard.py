"""Who may ask, what may come with a request, what browsers and Prometheus are told."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from ance_ir.serve import observing
from ance_ir.serve.app import create_app
from ance_ir.serve.guard import is_loopback
from ance_ir.serve.limits import Limits
from ance_ir.serve.server import Server


@pytest.fixture
def guarded(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(server, "limits", Limits(body=2000))
    app = create_app(server, token="secret", hosts=(), origins=["https://elsewhere.example"])
    with TestClient(app, base_url="http://127.0.0.1:8080", headers={"Authorization": "Bearer secret"}) as client:
        yield client


def test_a_token_is_asked_for_but_of_probes(guarded: TestClient) -> None:
    assert guarded.get("/v1/systems").status_code == 200
    for wrong in ("Bearer secre", "secret", "", "Bearer sécret"):
        reply = guarded.get("/v1/systems", headers={"Authorization": wrong.encode()})
        assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert guarded.get("/v1/health", headers={"Authorization": ""}).status_code == 200
    described = guarded.get("/openapi.json").json()
    ((name, scheme),) = described["components"]["securitySchemes"].items()
    assert scheme == {"type": "http", "scheme": "bearer"}
    assert described["paths"]["/v1/systems"]["get"]["security"] == [{name: []}]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:8080", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:8080", 400),
        ("", 400),
    ],
)
def test_a_name_that_someone_pointed_here_is_refused(guarded: TestClient, host: str, status: int) -> None:
    assert guarded.get("/v1/health", headers={"Host": host}).status_code == status


def test_a_body_is_limited_whether_it_says_its_length_or_not(guarded: TestClient) -> None:
    body = json.dumps({"query": "x" * 3000}).encode()
    headers = {"Content-Type": "application/json"}
    assert guarded.post("/v1/bm25/search", content=body, headers=headers).status_code == 413
    pieces = (body[start : start + 100] for start in range(0, len(body), 100))
    assert guarded.post("/v1/bm25/search", content=pieces, headers=headers).status_code == 413
    assert guarded.post("/v1/bm25/search", content=b'{"query": "x"}', headers=headers).status_code == 200
    agents = {**headers, "Accept": "application/json, text/event-stream"}
    refused = guarded.post("/mcp", content=(body[start : start + 100] for start in range(0, len(body), 100)), headers=agents)
    assert (refused.status_code, list(refused.json())) == (413, ["error"])


def test_browsers_are_told_to_run_nothing_and_other_origins_only_where_they_are_named(guarded: TestClient, client: TestClient) -> None:
    for reply in (guarded.get("/v1/systems"), guarded.get("/nowhere"), guarded.get("/v1/systems", headers={"Host": "evil.example"})):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    asking = {"Origin": "https://elsewhere.example"}
    assert guarded.get("/v1/systems", headers=asking).headers["Access-Control-Allow-Origin"] == asking["Origin"]
    assert "Access-Control-Allow-Origin" not in client.get("/v1/systems", headers=asking).headers
    before = {**asking, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    allowed = guarded.options("/v1/bm25/search", headers={**before, "Authorization": ""})
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, asking["Origin"])
    assert "authorization" in allowed.headers["Access-Control-Allow-Headers"]
    assert guarded.options("/v1/bm25/search", headers={**before, "Origin": "https://evil.example"}).status_code == 400
    told = guarded.get("/v1/systems", headers={**asking, "Authorization": ""})
    assert (told.status_code, told.headers["Access-Control-Allow-Origin"]) == (401, asking["Origin"]), "pages can read why"


def test_requests_are_logged_and_counted_without_what_was_asked(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, observing.__name__):
        client.get("/v1/bm25/search", params={"q": "confidential"})
        client.get("/nowhere/confidential")
        client.post("/mcp", content=b"confidential")
    lines = [json.loads(record.message) for record in caplog.records if record.name == observing.__name__]
    assert [(line["path"], line["system"], line["status"]) for line in lines] == [
        ("/v1/{system}/search", "bm25", 200),
        ("other", None, 404),
        ("/mcp", None, 400),
    ]
    counts = client.get("/metrics").text
    assert 'ance_ir_requests_total{method="GET",path="/v1/{system}/search",status="200"}' in counts
    assert 'ance_ir_batch_requests_count{worker="bm25"}' in counts
    assert "confidential" not in counts + caplog.text


def test_errors_are_json_of_one_line(client: TestClient) -> None:
    for reply, status in (
        (client.get("/nowhere"), 404),
        (client.put("/v1/bm25/search"), 405),
        (client.post("/v1/bm25/search", content=b"{", headers={"Content-Type": "application/json"}), 422),
        (client.post("/v1/bm25/search", content=b"\xff", headers={"Content-Type": "application/json"}), 400),
        (client.get("/v1/bm25/search"), 422),
    ):
        assert (reply.status_code, list(reply.json())) == (status, ["error"])


def test_the_api_is_described_for_people_and_programs(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    page = client.get("/docs")
    assert page.status_code == 200
    assert [path for path in described["paths"] if path not in page.text] == []
    assert "<script" not in page.text


def test_loopback() -> None:
    assert [host for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "", "localhost.example") if is_loopback(host)] == []
