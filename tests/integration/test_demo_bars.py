"""What the demo promises, on the embedded collection with the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest

from ance_ir.workflows import DemoSettings, run_demo
from tests.recorded import figures

pytestmark = [pytest.mark.integration, pytest.mark.large]

README = Path(__file__).parent.parent.parent / "README.md"


def test_ance_beats_the_encoder_as_it_comes_and_random_negatives(tmp_path: Path) -> None:
    results = run_demo(DemoSettings(compare=True), tmp_path / "demo", device="cpu", say=lambda line: None)
    found = {system: values["measures"]["RR@10"] for system, values in results["systems"].items()}
    assert found["ANCE"] >= found["zero-shot"] + 0.04
    assert found["zero-shot"] > found["BM25"]
    assert found["ANCE"] > found["random negatives"]
    (table,) = (block for block in README.read_text(encoding="utf-8").split("```\n") if block.startswith("system "))
    shown = {name: values[0] for name, values in figures(table)}
    assert shown == pytest.approx({name: found[name] for name in shown}, abs=0.005)
    assert len(shown) == 5
