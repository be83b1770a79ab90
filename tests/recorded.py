"""Pages whose code and outputs belong together: run the code again, and write or compare what it prints.

A block of commands, each beginning with ``ance-ir``, a block of Python, or one for the shell that begins with ``curl`` may be followed by a
block with what it printed on the standard output. What ``ance-ir serve`` serves is there until the page ends.
``python -m tests.recorded PAGE`` writes the outputs anew, but of sections marked ``<!-- measured apart -->``; a test compares those of
sections marked ``<!-- quick -->``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ance_ir.serve.bench.running import running

QUICK = "<!-- quick -->"
APART = "<!-- measured apart -->"
PORT = 8080
"""Where pages find what they serve."""
_BLOCK = re.compile(
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$(?:\n\n^```\n(?!ance-ir |curl )(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_COMMAND = re.compile(r"^ance-ir (?:.*\\\n)*.*", re.MULTILINE)
_LEFT_OUT = re.compile(r"results\.json, |used again from |the report is in ")
"""Lines that tell of files, or of what was kept from another time."""


@dataclass(frozen=True)
class Block:
    """Code of a page, and where what it printed stands there: ``None`` where the page does not show it."""

    section: str
    quick: bool
    python: bool
    code: str
    output: str | None
    span: tuple[int, int]


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that can be run, in its order."""
    for match in _BLOCK.finditer(page):
        python = match["language"] == "python"
        if python or (not match["language"] and match["code"].startswith(("ance-ir ", "curl "))):
            before = page[: match.start()].rpartition("\n## ")[2]
            section, quick = before.partition("\n")[0], QUICK in before
            if APART in before:
                continue
            yield Block(section, quick, python, match["code"], match["output"], match.span("output"))


class Runner:
    """Runs the blocks of a page one after another, in a folder, Python in one namespace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = contextlib.ExitStack()
        self._names: dict[str, Any] = {}

    def run(self, block: Block) -> str:
        """What a block prints, of ``ance-ir eval`` the table of means. An index or a model that is there already is not made again."""
        if block.python:
            printed = io.StringIO()
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
                exec(compile(block.code, f"<{block.section}>", "exec"), self._names)
            return printed.getvalue()
        if block.code.startswith("curl "):
            done = subprocess.run(["bash", "-ec", block.code], cwd=self.folder, stdout=subprocess.PIPE, encoding="utf-8", check=True)
            return done.stdout
        return "\n".join(filter(None, map(self._command, _COMMAND.findall(block.code))))

    def _command(self, command: str) -> str:
        arguments = shlex.split(command.replace("\\\n", " "))
        out = self.folder / arguments[arguments.index("--out") + 1] if "--out" in arguments else None
        if arguments[1] != "eval" and out is not None and out.exists():
            return ""
        print(command, file=sys.stderr, flush=True)
        if arguments[1] == "serve":
            with contextlib.chdir(self.folder):
                self.servers.enter_context(running(arguments[2:], PORT))
            return ""
        program = [sys.executable, "-m", "ance_ir", *arguments[1:]]
        done = subprocess.run(program, cwd=self.folder, stdout=subprocess.PIPE, encoding="utf-8", check=True)
        if arguments[1] in ("index", "train", "train-reranker", "train-reader"):
            return ""
        lines = "\n".join(line for line in done.stdout.splitlines() if not _LEFT_OUT.match(line)).strip()
        return (lines.partition("\n\n")[0] if arguments[1] == "eval" else lines) + "\n"


def figures(output: str) -> list[tuple[str, list[float]]]:
    """Of each line of a table: its beginning, and its figures with three and more decimals, so no times."""
    found = []
    for line in output.splitlines():
        numbers = re.findall(r"(?<![\w.])[+-]?\d*\.\d{3,}(?!\d)", line)
        if numbers:
            found.append((re.split(r"\s{2,}", line.strip())[0], [float(number) for number in numbers]))
    return found


def main() -> None:
    """Write the outputs of a page anew."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/recorded"), help="where indexes are kept")
    parser.add_argument("--section", action="append", default=[], help="only sections that begin so")
    told = parser.parse_args()
    folder = told.work / told.page.stem
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("ANCE_IR_DATA", "")
    runner = Runner(folder.resolve())
    with runner.servers:
        for number in range(len(list(blocks(told.page.read_text(encoding="utf-8"))))):
            block = list(blocks(told.page.read_text(encoding="utf-8")))[number]
            if not told.section or any(block.section.startswith(name) for name in told.section):
                write_output(told.page, block, runner.run(block))


def write_output(path: Path, block: Block, printed: str) -> None:
    """Write what a block printed into its page, where the page shows it."""
    if block.output is not None:
        page = path.read_text(encoding="utf-8")
        path.write_text(page[: block.span[0]] + printed.rstrip("\n") + "\n" + page[block.span[1] :], encoding="utf-8")


if __name__ == "__main__":
    main()
