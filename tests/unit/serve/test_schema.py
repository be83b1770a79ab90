"""Requests made up from the OpenAPI page, many of them wrong: each is answered, none with a fault of the server."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

schemathesis = pytest.importorskip("schemathesis")


def check(client: TestClient, requests: int) -> None:
    """Send so many requests, to all paths, right ones and wrong ones."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 5
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for operation in operations for mode in schemathesis.GenerationMode])

    @settings(max_examples=requests, database=None, suppress_health_check=list(HealthCheck))
    @given(cases)
    def send(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url="http://127.0.0.1")
        assume(len(sent["url"]) + len(urlencode(sent.get("params") or {}, doseq=True)) < 2**16)  # the client refuses longer addresses
        answer = client.request(**sent)
        assert answer.status_code < 500, (answer.status_code, sent)
        if answer.status_code >= 400:
            assert isinstance(answer.json()["error"], str)

    send()


def test_bad_requests_are_refused(client: TestClient) -> None:
    check(client, 60)


@pytest.mark.slow
def test_a_thousand_bad_requests_are_refused(client: TestClient) -> None:
    check(client, 1000)
