"""Runs in a folder, each with the key of its pipeline and queries, so that unchanged ones need not run again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote

import pandas as pd
import pyterrier as pt

from ance_ir.digests import digest_bytes
from ance_ir.errors import DatasetError
from ance_ir.eval.runs import read_run, write_run
from ance_ir.files import as_path, write_json
from ance_ir.pipelines.fingerprint import fingerprint
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)

_LONGEST = 160
"""Characters of a name; file systems allow 255, and unfinished files have an ending of their own."""


class _About(TypedDict):
    key: str
    ms_per_query: float
    notices: NotRequired[list[str]]


class KeptRuns:
    """A folder of TREC runs, ``NAME.txt.gz``, each with a ``NAME.json`` that holds its key where the pipeline has one.

    Args:
        folder: created if it does not exist.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = as_path(folder)

    def __repr__(self) -> str:
        return f"KeptRuns({str(self.folder)!r})"

    def get(self, system: str, key: str | None) -> tuple[pd.DataFrame, float] | None:
        """The run kept under that key, and its milliseconds a query; ``None`` where there is none, or a damaged one.

        The warnings of its making are repeated.
        """
        if key is None or not self.holds(system, key):
            return None
        run, about = self._files(system)
        try:
            kept = _read(about)
            found = read_run(run, "trec"), float(kept["ms_per_query"])
        except DatasetError:
            return None
        for notice in kept.get("notices", ()):
            logger.warning("%s", notice)
        return found

    def holds(self, system: str, key: str | None) -> bool:
        """Whether a run is kept under that key."""
        run, about = self._files(system)
        try:
            return key is not None and run.exists() and bool(_read(about)["key"] == key)
        except (FileNotFoundError, DatasetError):
            return False

    def put(self, system: str, key: str | None, run: pd.DataFrame, ms_per_query: float | None, notices: Sequence[str] = ()) -> None:
        """Keep a run, in place of one of the same name, with the warnings of its making.

        Interrupted at any instant, it leaves no run with another one's key.
        """
        file, about = self._files(system)
        about.unlink(missing_ok=True)
        write_run(run, file, written_name(system))
        if key is not None:
            write_json(about, {"key": key, "ms_per_query": ms_per_query, **({"notices": list(notices)} if notices else {})})

    def _files(self, system: str) -> tuple[Path, Path]:
        return self.folder / f"{written_name(system)}.txt.gz", self.folder / f"{written_name(system)}.json"


def _read(path: Path) -> Any:
    return read_typed(path, _About, error=DatasetError, remedy="the run is made again")


def run_key(system: pt.Transformer, queries: pd.DataFrame) -> str | None:
    """Hash (128 bits, hexadecimal) of a pipeline and of its queries, with all their columns; ``None`` where the pipeline has no
    fingerprint, or the queries have something that JSON cannot hold: vectors, for example.
    """
    made_by = fingerprint(system)
    if made_by is None:
        return None
    try:
        content = json.dumps([made_by, queries.to_dict("list")])
    except TypeError:
        return None
    return digest_bytes([content.encode(errors="surrogatepass")])


def written_name(system: str) -> str:
    """A name of a system or a collection, for a file or a run's tag: other characters as ``%xx``, and a hash for the end of a long one."""
    written = quote(system, safe="+,=@()")
    if len(written) <= _LONGEST:
        return written
    return f"{written[: _LONGEST - 17]}~{hashlib.blake2b(system.encode(errors='surrogatepass'), digest_size=8).hexdigest()}"
