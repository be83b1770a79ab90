"""The figures of pages that a command wrote, measured again where that is quick."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recorded import Block, Runner, blocks, figures

pytestmark = [pytest.mark.integration, pytest.mark.large]

DOCS = Path(__file__).parent.parent.parent / "docs"
TOLERANCE = 0.005
_QUICK: dict[str, list[Block]] = {}
for _block in blocks((DOCS / "results.md").read_text(encoding="utf-8")):
    if _block.quick:
        _QUICK.setdefault(_block.section, []).append(_block)


@pytest.mark.parametrize("section", _QUICK)
def test_figures_are_those_written_down(section: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_DATA", str(data_dir))
    runner = Runner(tmp_path)
    compared = 0
    for block in _QUICK[section]:
        found = figures(runner.run(block))
        if block.output is None:
            continue
        expected = figures(block.output)
        assert [name for name, _ in found] == [name for name, _ in expected]
        for (name, values), (_, told) in zip(found, expected, strict=True):
            assert values == pytest.approx(told, abs=TOLERANCE), name
            compared += len(told)
    assert compared >= 10
