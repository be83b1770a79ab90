"""Ended before any change of a name: what was there is there whole, or the new is; and the same command goes on and ends the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import start
from tests.worst_instants import KIND_NAMES, run

pytestmark = pytest.mark.slow

FEW = 2
"""Instants that the quick tests try of each kind; they are spread over the work."""


@pytest.mark.parametrize("name", KIND_NAMES)
@pytest.mark.parametrize("most", [FEW, pytest.param(1000, marks=pytest.mark.large)], ids=["few", "all"])
def test_ended_at_the_worst_instant(name: str, most: int, collection: Path, tmp_path: Path) -> None:
    process = start(run, name, tmp_path, collection, most)
    process.join(1200)
    assert process.exitcode == 0, (tmp_path / "failure").read_text()
