"""PISA, which writes progress to the standard streams and ends the process when it meets an error: what builds runs in one of its own."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ance_ir.errors import IndexingError, MissingDependencyError

_BUILDER = """
import sys
from pyterrier_pisa import PisaIndex
folder, stemmer, threads, k1, b = sys.argv[1:]
index = PisaIndex(folder, stemmer=stemmer, threads=int(threads))
if not index.built():
    index.indexer("text").index({"docno": str(number), "text": text} for number, text in enumerate(sys.stdin))
index.bm25(k1=float(k1), b=float(b), num_results=1)
"""


def pisa() -> Any:
    """The module ``pyterrier_pisa``.

    Raises:
        MissingDependencyError: it is not installed; it exists for Linux on x86-64.
    """
    try:
        return importlib.import_module("pyterrier_pisa")
    except ImportError as error:
        remedy = "pip install pyterrier-pisa, on Linux on x86-64; elsewhere use PyTerrier's own BM25"
        raise MissingDependencyError("pyterrier-pisa", "BM25Index", remedy) from error


@contextlib.contextmanager
def builder(folder: Path, stemmer: str, threads: int, k1: float, b: float) -> Iterator[Callable[[str], None]]:
    """Run PISA on ``folder`` in a process of its own: yield a function that hands it a document, a line of text; wait until it is done."""
    arguments = [str(folder.absolute()), stemmer, str(threads), str(k1), str(b)]
    command = [sys.executable, "-X", "utf8", "-P", "-c", _BUILDER, *arguments]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, encoding="utf-8", errors="replace") as process,
    ):

        def failure() -> IndexingError:
            log.seek(0)
            lines = log.read().decode(errors="replace").split("\n")
            reason = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {process.returncode}")
            return IndexingError(f"PISA could not build the index, which needs a document with a word of ASCII letters or digits: {reason}")

        def add(line: str) -> None:
            try:
                process.stdin.write(line)  # type: ignore[union-attr]
            except BrokenPipeError:
                raise failure() from None

        try:
            yield add
            process.communicate()
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode:
            raise failure()


def feed(documents: Iterable[dict[str, Any]], add: Callable[[str], None]) -> Iterator[str]:
    """Hand each document to ``add`` as a line; yield its docno.

    Raises:
        IndexingError: a docno, title or text that is no string.
    """
    for document in documents:
        add(_line(document))
        yield document["docno"]


def _line(document: dict[str, Any]) -> str:
    """A document's title and text on one line.

    Raises:
        IndexingError: its docno, title or text is no string.
    """
    docno, title, text = (document.get(name) for name in ("docno", "title", "text"))
    if not isinstance(docno, str) or not docno:
        raise IndexingError(f"a document's docno must be a string of at least one character, found {docno!r}")
    for name, value in (("title", title or ""), ("text", text)):
        if not isinstance(value, str):
            raise IndexingError(f"document {docno}: its {name} must be a string, found {value!r}")
    return f"{title or ''} {text}".replace("\r", " ").replace("\n", " ") + "\n"
