"""The README's Python runs as it stands, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ance_ir.cli.main import SUMMARIES, group

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    """The fenced blocks of a language, ``""`` for those without one."""
    parts = re.split(r"^```(\w*)\n", README, flags=re.MULTILINE)  # text, language, block, "", text, language, …
    return [block for found, block in zip(parts[1::4], parts[2::4], strict=True) if found == language]


def test_python_blocks_run(tmp_path: Path) -> None:
    blocks = _blocks("python")
    assert blocks
    done = subprocess.run([sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "cascade" in done.stdout


def test_every_command_and_option_shown_exists() -> None:
    commands = [line for block in _blocks("") for line in block.splitlines() if line.startswith("ance-ir ")]
    assert {line.split()[1] for line in commands} == set(SUMMARIES) - {"demo", "bench"}
    for line in commands:
        command = group.get_command(None, line.split()[1])  # type: ignore[arg-type]
        assert command is not None
        if isinstance(command, click.Group):
            command = command.commands[line.split()[2]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= known


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_subcommand_has_an_example_in_its_help(name: str) -> None:
    command = group.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert f"ance-ir {name} " in (command.epilog or "") or f"ance-ir {name}\n" in (command.epilog or "")
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"{name}: {parameter.name}"  # type: ignore[attr-defined]
