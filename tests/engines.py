"""The engines of BM25 that can run here."""

from __future__ import annotations

import pytest

from ance_ir.errors import MissingDependencyError
from ance_ir.pipelines.bm25.engines import ENGINES


def missing(engine: str) -> str:
    """What an engine lacks on this machine; empty where it lacks nothing."""
    try:
        ENGINES[engine].require()
    except MissingDependencyError as error:
        return str(error)
    return ""


def need(*engines: str) -> None:
    """Skip the test where one of these engines cannot run."""
    for engine in engines:
        if reason := missing(engine):
            pytest.skip(reason)
