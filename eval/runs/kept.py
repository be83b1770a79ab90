"""Runs in a folder, each with what made it, so that what has not changed need not run again."""

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

from ance_ir.errors import DatasetError
from ance_ir.eval.runs import read_run, write_run
from ance_ir.files import as_path, write_json
from ance_ir.pipelines.fingerprint import fingerprint
from ance_ir.typed_json import read_typed

logger = logging.getLogger(__name__)

_LONGEST = 160
"""Characters of a name; file systems allow 255, and unfinished files have an ending of their own."""


class _Told(TypedDict):
    key: str
    ms_per_query: float
    notices: NotRequired[list[str]]


class KeptRuns:
    """A folder of ``NAME.txt.gz``, TREC runs, and beside each, where it can be told what made it, ``NAME.json`` with a key.

    Args:
        folder: made if need be.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = as_path(folder)

    def get(self, system: str, key: str | None) -> tuple[pd.DataFrame, float] | None:
        """The run that was kept under that key, and its milliseconds a query; ``None`` where there is none, or a damaged one.

        What was warned of while it was made is warned of again.
        """
        if key is None or not self.holds(system, key):
            return None
        run, told = self._files(system)
        try:
            about = _read(told)
            found = read_run(run, "trec"), float(about["ms_per_query"])
        except DatasetError:
            return None
        for notice in about.get("notices", ()):
            logger.warning("%s", notice)
        return found

    def holds(self, system: str, key: str | None) -> bool:
        """Whether a run is kept under that key."""
        run, told = self._files(system)
        try:
            return key is not None and run.exists() and bool(_read(told)["key"] == key)
        except (FileNotFoundError, DatasetError):
            return False

    def put(self, system: str, key: str | None, run: pd.DataFrame, ms_per_query: float | None, notices: Sequence[str] = ()) -> None:
        """Keep a run in the place of one of the same name, with what was warned of while it was made.

        Broken off at any instant, no run stands beside another one's key.
        """
        file, told = self._files(system)
        told.unlink(missing_ok=True)
        write_run(run, file, _written(system))
        if key is not None:
            write_json(told, {"key": key, "ms_per_query": ms_per_query, **({"notices": list(notices)} if notices else {})})

    def _files(self, system: str) -> tuple[Path, Path]:
        return self.folder / f"{_written(system)}.txt.gz", self.folder / f"{_written(system)}.json"


def _read(told: Path) -> Any:
    return read_typed(told, _Told, error=DatasetError, remedy="the run is made again")


def run_key(system: pt.Transformer, queries: pd.DataFrame) -> str | None:
    """Hash (128 bits, hexadecimal) of a pipeline and of the queries it is asked, with all their columns; ``None`` where the pipeline has no
    fingerprint, or the queries have something that JSON cannot hold: vectors, for example.
    """
    made_by = fingerprint(system)
    if made_by is None:
        return None
    try:
        told = json.dumps([made_by, queries.to_dict("list")])
    except TypeError:
        return None
    return hashlib.blake2b(told.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _written(system: str) -> str:
    """A system's name as a file's name and a run's tag can hold it: other characters as ``%xx``, and a hash for the rest of a long one."""
    written = quote(system, safe="+,=@()")
    if len(written) <= _LONGEST:
        return written
    return f"{written[: _LONGEST - 17]}~{hashlib.blake2b(system.encode(errors='surrogatepass'), digest_size=8).hexdigest()}"
