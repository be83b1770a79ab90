"""The notebooks run from a fresh kernel, show what they are meant to show, and are committed with the outputs of their own cells."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="the extra notebooks")

from tests import notebooks

MOST_BYTES = 1_500_000
NAMES = ["compose_and_evaluate", "explore_an_index", "quick_start", "train_your_own"]
SCHEMATICS = {"quick_start", "compose_and_evaluate"}
LONG = {"quick_start", "compose_and_evaluate", "explore_an_index"}
"""They train or encode for minutes; the others run on a part of the collection."""


def shown(notebook: Any) -> list[tuple[int, str]]:
    """Of each output of a cell the cell's number and the kinds of what it shows."""
    found = []
    for number, output in notebooks.outputs(notebook):
        kinds = sorted(output["data"]) if "data" in output else [f"{output['output_type']} {output.get('name', '')}"]
        found.append((number, ", ".join(kinds)))
    return found


def check_outputs(notebook: Any, name: str) -> None:
    """At least a picture and a table, schematics where pipelines are composed, and nothing on the standard error."""
    kinds = Counter(kind for _, output in notebooks.outputs(notebook) for kind in output.get("data", {}))
    assert kinds["image/png"] >= 1
    tables = [output["data"]["text/html"] for _, output in notebooks.outputs(notebook) if "text/html" in output.get("data", {})]
    assert any("<table" in table for table in tables)
    assert any("pts-transformer" in table for table in tables) == (name in SCHEMATICS)
    assert [kind for _, kind in shown(notebook) if kind.startswith(("error", "stream stderr"))] == []


def test_all_notebooks_are_known() -> None:
    assert [path.stem for path in notebooks.NOTEBOOKS] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_committed_outputs(name: str) -> None:
    path = notebooks.FOLDER / f"{name}.ipynb"
    notebook = notebooks.read(path)
    check_outputs(notebook, name)
    code = [cell for cell in notebook.cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))  # by one run, from the top
    written = path.read_text(encoding="utf-8")
    assert not re.search(r"""(?<![\w.:/])/(home|root|tmp|usr|var|work)/""", written)  # folders of the machine that ran it
    for _, output in notebooks.outputs(notebook):
        html = output.get("data", {}).get("text/html", "")
        assert not re.search(r"""(src|rel)=|@import|url\(""", html)  # it shows without a network
        assert "image/png" in output.get("data", {}) or len(html) < 60_000


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in notebooks.NOTEBOOKS) < MOST_BYTES


@pytest.mark.integration
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.large if name in LONG else pytest.mark.slow) for name in NAMES])
def test_they_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = notebooks.FOLDER / f"{name}.ipynb"
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    if name not in LONG:
        monkeypatch.setenv("PYTHONSTARTUP", str(Path(__file__).parents[1] / "on_a_part.py"))
    notebook = notebooks.execute(path, here)
    check_outputs(notebook, name)
    assert shown(notebook) == shown(notebooks.read(path)), "make notebooks saves the outputs anew"
    assert list(here.iterdir()) == []  # what they write is in a temporary folder, or in the cache
