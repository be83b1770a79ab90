"""The notebooks, run from a fresh kernel in a folder of their own; ``python -m tests.notebooks`` writes their outputs again."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
_LONGEST = 1800
"""Seconds; a cell that takes longer has failed, and so has a kernel that has not started by then."""


def read(path: Path) -> Any:
    """A notebook, as nbformat's nodes."""
    return nbformat.read(path, as_version=4)


def execute(path: Path, folder: Path) -> Any:
    """A notebook with the outputs of a run in a folder, from a fresh kernel of this interpreter.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = read(path)
    settings = {"kernel_name": "python3", "timeout": _LONGEST, "startup_timeout": _LONGEST, "record_timing": False}
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}, **settings).execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    return notebook


def outputs(notebook: Any) -> Iterator[tuple[int, Any]]:
    """All outputs, each with the number of its cell."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield number, output


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, help="all of them by default")
    with tempfile.TemporaryDirectory() as folder:
        # What is kept between notebooks is made by them, as on a machine that has seen none of it.
        os.environ.update(ANCE_IR_CACHE=f"{folder}/cache", HF_HUB_OFFLINE="1", TMPDIR=folder, TOKENIZERS_PARALLELISM="false")
        for path in parser.parse_args().notebooks:
            began = time.perf_counter()
            written = nbformat.writes(execute(path, Path(folder)))
            written = written.replace(f"{folder}/cache", "~/.cache/ance_ir").replace(f"{folder}/", "")  # as on a user's machine
            path.write_text(written + "\n", encoding="utf-8")
            print(f"{path.name}: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    _main()
