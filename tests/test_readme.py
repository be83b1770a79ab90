"""The README's Python runs as it stands, and its commands and those of the documentation exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ance_ir.cli.main import SUMMARIES, group

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "ance_ir" / "pt_docs").glob("*.rst"))]


def _blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, ``""`` for those without one."""
    parts = re.split(r"^```(\w*)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)  # text, language, block, "", text, language, …
    return [block for found, block in zip(parts[1::4], parts[2::4], strict=True) if found == language]


@pytest.mark.slow
def test_python_blocks_run(tmp_path: Path) -> None:
    """On a part of their collection."""
    blocks = _blocks(README, "python")
    assert blocks
    code = "\n".join([(ROOT / "tests" / "on_a_part.py").read_text(encoding="utf-8"), *blocks])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "cascade" in done.stdout


def _commands(page: Path) -> list[str]:
    """Commands in blocks, each on one line."""
    blocks = page.read_text(encoding="utf-8").replace("\n    ", "\n") if page.suffix == ".rst" else "\n".join(_blocks(page, ""))
    text = blocks.replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith("ance-ir ")]


def test_the_readme_shows_every_command() -> None:
    assert {line.split()[1] for line in _commands(README)} == set(SUMMARIES) - {"demo", "bench"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_shown_exists(page: Path) -> None:
    for line in _commands(page):
        command: click.Command | None = group
        words = line.split()[1:]
        while isinstance(command, click.Group):
            name = words.pop(0) if command is group or not words[0].startswith("-") else next(iter(command.list_commands(None)))  # type: ignore[arg-type]
            command = command.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", line)) <= known, line


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_subcommand_has_an_example_in_its_help(name: str) -> None:
    command = group.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert f"ance-ir {name} " in (command.epilog or "") or f"ance-ir {name}\n" in (command.epilog or "")
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"{name}: {parameter.name}"  # type: ignore[attr-defined]
