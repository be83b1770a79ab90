"""The figures in ``docs/results.md`` on real collections, measured again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ance_ir.cli.main import main

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DOCS = Path(__file__).parent.parent.parent / "docs" / "results.md"
TOLERANCE = 0.005


def _section(name: str) -> tuple[list[str], dict[str, dict[str, dict[str, float]]]]:
    """The commands of a section, and its tables: split → system → measure → value."""
    text = DOCS.read_text(encoding="utf-8").split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
    commands = [line for line in re.findall(r"^ance-ir .*$", text, re.MULTILINE)]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    header, tables = rows[0], {}
    for row in rows[2:]:
        values = {measure: float(value) for measure, value in zip(header[2:], row[2:], strict=True)}
        tables.setdefault(row[0], {})[row[1]] = values
    return commands, tables


@pytest.mark.parametrize("name", ["vaswani", "msmarco-mini"])
def test_figures_are_those_written_down(
    name: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands, tables = _section(name)
    monkeypatch.setenv("ANCE_IR_DATA", str(data_dir))
    monkeypatch.chdir(tmp_path)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for command in commands:
        arguments = shlex.split(command)[1:]
        assert main(arguments) == 0, capsys.readouterr().err
        lines = capsys.readouterr().out.splitlines()
        if arguments[0] == "eval":
            split = arguments[arguments.index("--split") + 1] if "--split" in arguments else "test"
            measures = lines[0].split()[1:-1]
            for line in lines[2:4]:
                system, *values = line.replace("†", "").split()
                found.setdefault(split, {})[system] = dict(zip(measures, map(float, values[:-1]), strict=True))
    assert found.keys() == tables.keys()
    for split, systems in tables.items():
        for system, values in systems.items():
            for measure, value in values.items():
                assert found[split][system][measure] == pytest.approx(value, abs=TOLERANCE), (split, system, measure)
