"""``ance-ir models``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ance_ir.cli.main import main
from ance_ir.models.dense.layout import LAYOUTS
from ance_ir.models.dense.published import published_models
from ance_ir.registries import MODEL_FAMILIES

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["models", *arguments])
    return (status, *capsys.readouterr())


def test_models_are_listed_from_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys)
    assert status == 0
    assert [line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")] == list(MODEL_FAMILIES)
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert listed == {"name", "with", *published_models()}
    lines = out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("  with fields=url,title,text"))
    assert [line.split()[0] for line in lines[place + 1 :] if line.startswith("    ")][:2] == [
        "castorini/ance-msmarco-doc-firstp",
        "castorini/ance-msmarco-doc-maxp",
    ]
    assert lines[place - 3].startswith("  castorini/ance-msmarco-passage ")
    rows = json.loads(run(capsys, "--format", "json")[1])
    assert [row["name"] for row in rows] == list(published_models())
    assert all(row["source"] for row in rows)


def test_one_family(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--family", "e5")
    assert status == 0 and "query_prefix='query: '" in out
    row = next(line for line in out.splitlines() if "intfloat/e5-base-v2" in line)
    assert row.split() == ["intfloat/e5-base-v2", "109", "M", "768", "mean", "cosine", "MIT"]
    assert "BAAI" not in out
    for arguments, named in ((["--family", "e6"], "e5"), (["--family", "e5", "--layouts"], "--layouts")):
        status, _, err = run(capsys, *arguments)
        assert (status, err.count("\n")) == (2, 1) and named in err


def test_layouts_are_listed_from_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--layouts")
    assert status == 0
    assert sorted(line.partition(":")[0] for line in out.splitlines()[::2]) == sorted(LAYOUTS)
    assert {row["name"] for row in json.loads(run(capsys, "--layouts", "--format", "json")[1])} == set(LAYOUTS)


def test_the_page_lists_what_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for arguments in ([], ["--layouts"]):
        assert f"```\n{run(capsys, *arguments)[1]}```\n" in page, "make record PAGE=docs/models.md"
    for name in LAYOUTS:
        assert f"`{name}`" in page
