"""The embedded collection python-stdlib: the standard library of the running interpreter.

A document is the source of a function or class with a docstring, all docstrings removed. A query is a docstring's first sentence;
relevant are the definitions that it describes. Definitions with fewer than 12 words after their docstring and
sentences with fewer than 4 are left out. A hash of a query's text puts it into ``test`` (3 of 16), ``dev`` (2 of 16) or ``train``.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from ance_ir.datasets.definitions import Definition, definitions
from ance_ir.datasets.layouts.collection import DirectoryDataset
from ance_ir.datasets.source import Source
from ance_ir.files import atomic_folder, cache_folder, write_json
from ance_ir.locks import make_once

NAME = "python-stdlib"
BUILDER = 2
"""Increase it when the same library would give another collection."""

BODY_WORDS = 12
QUERY_WORDS = 4

EXCLUDED = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "pydoc_data", "ensurepip", "__pycache__"}
"""Folders that are no library: installed packages, tests, applications, generated text."""


def python_stdlib() -> DirectoryDataset:
    """The embedded collection: built in the cache folder on first use, in seconds, then reopened."""
    folder = cache_folder() / "collections" / f"{NAME}-{platform.python_version()}-{BUILDER}"
    library = Path(sysconfig.get_paths()["stdlib"])
    make_once(folder, (folder / "manifest.json").is_file, lambda: build(library, folder), "building the embedded collection")
    return DirectoryDataset(folder, NAME)


def build(library: Path, folder: Path) -> None:
    """Write the collection of the Python files under ``library`` to a collection directory; equal sources give equal bytes."""
    docnos: dict[str, int] = {}
    relevant: dict[str, list[str]] = {}
    with atomic_folder(folder, "corpus.jsonl") as unfinished:
        with (unfinished / "corpus.jsonl").open("w", encoding="utf-8", newline="\n") as corpus:
            for definition in _library_definitions(library):
                if definition.body_words < BODY_WORDS:
                    continue
                docnos[definition.name] = count = docnos.get(definition.name, 0) + 1
                docno = definition.name if count == 1 else f"{definition.name}~{count}"
                corpus.write(json.dumps({"docno": docno, "text": definition.source}, ensure_ascii=False) + "\n")
                query = first_sentence(definition.docstring)
                if len(query.split()) >= QUERY_WORDS and query not in " ".join(definition.source.split()):
                    relevant.setdefault(query, []).append(docno)
        _write_queries(relevant, unfinished)
        write_json(unfinished / "manifest.json", {"builder": BUILDER, "documents": sum(docnos.values()), "queries": len(relevant)})


def first_sentence(docstring: str) -> str:
    """The first sentence of the first paragraph, white space collapsed."""
    paragraph = re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)[0]
    return re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()), maxsplit=1)[0]


def _library_definitions(library: Path) -> Iterator[Definition]:
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if EXCLUDED.isdisjoint(parts) and not parts[0].startswith("config-"):
            yield from definitions(path, ".".join(part for part in parts if part != "__init__"))


def _write_queries(relevant: dict[str, list[str]], folder: Path) -> None:
    endings = ["", "", "", ".dev", ".dev", *[".train"] * 11]  # of files' names, by the last four bits of a query's hash
    names = (name for ending in dict.fromkeys(endings) for name in (f"queries{ending}.tsv", f"qrels{ending}.txt"))
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("w", encoding="utf-8", newline="\n")) for name in names}
        for query, docnos in relevant.items():
            digest = hashlib.blake2b(query.encode(), digest_size=8).hexdigest()
            qid, ending = f"q{digest[:12]}", endings[int(digest, 16) % 16]
            files[f"queries{ending}.tsv"].write(f"{qid}\t{query}\n")
            files[f"qrels{ending}.txt"].writelines(f"{qid} 0 {docno} 1\n" for docno in docnos)


SOURCE = Source(order=1, open=lambda name: python_stdlib() if name == NAME else None, names=lambda: [NAME])
