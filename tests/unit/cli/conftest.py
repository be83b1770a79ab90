"""What the tests of commands share."""

from __future__ import annotations

import pytest

from ance_ir.training.run.memory import MemoryWatch


@pytest.fixture(autouse=True)
def no_rehearsal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predict the memory of a step only where a test asks for it with the mark ``rehearsal``: it takes as long as many tiny steps."""
    if request.node.get_closest_marker("rehearsal") is None:
        monkeypatch.setattr(MemoryWatch, "predict", lambda self, source: None)
