"""Pyserini's prebuilt indexes, found by their names in its cache, without Pyserini.

It unpacks an archive ``faiss-flat.NAME.DATE.COMMIT.tar.gz`` as ``indexes/faiss-flat.NAME.DATE.COMMIT.MD5``, where NAME is the name that is
asked for, or the same words joined by other signs (``download_and_unpack_archive`` in its ``util.py``, versions 1.6 and 2.4).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ance_ir.errors import IndexingError
from ance_ir.files import as_path

_JOINTS = re.compile(r"[._-]")
_NO_WORD = re.compile(r"faiss|flat|\d{8}|[0-9a-f]{6,8}|[0-9a-f]{32}")
"""Words of a folder's name that are not the index's: its kind, day, commit and checksum."""

_PREBUILT = re.compile(r".*faiss.*\.[0-9a-f]{32}")


def located(source: Path | str) -> Path:
    """Where a file or folder is, or the prebuilt index of that name.

    Raises:
        IndexingError: there is neither, or several indexes have this name.
    """
    path = as_path(source)
    if path.exists():
        return path
    prebuilt = _prebuilt()
    named = _named(source, prebuilt)
    if len(named) > 1:
        raise IndexingError(f"{source} names several of Pyserini's prebuilt indexes: give the path of one: {', '.join(map(str, named))}")
    if not named:
        others = ", ".join(folder.name for folder in prebuilt) or "no Faiss index"
        places = " and ".join(map(str, _caches()))
        raise IndexingError(
            f"{source} is neither a file nor a folder, nor a prebuilt index in Pyserini's cache ({places}: {others}); "
            "Pyserini downloads those, not this command"
        )
    return named[0]


def import_hint(name: Path | str) -> str:
    """For a message that there is no index: how to make one of the prebuilt index of this name; empty if the cache holds none."""
    if not _named(name, _prebuilt()):
        return ""
    return f"; Pyserini's cache has a prebuilt index of this name: import it by `ance-ir index import {name} --model MODEL --out FOLDER`"


def _prebuilt() -> list[Path]:
    return [folder for cache in _caches() for folder in cache.glob("indexes/*") if _PREBUILT.fullmatch(folder.name)]


def _named(name: Path | str, prebuilt: list[Path]) -> list[Path]:
    return [folder for folder in prebuilt if _words(folder.name) == _words(str(name))]


def _caches() -> list[Path]:
    """The folders where Pyserini keeps what it fetches; the one in the working directory since version 2."""
    told = os.environ.get("PYSERINI_CACHE")
    if told:
        return [Path(told)]
    return [*dict.fromkeys((folder / ".cache" / "pyserini").resolve() for folder in (Path.cwd(), Path.home()))]


def _words(name: str) -> set[str]:
    return {word for word in _JOINTS.split(name) if not _NO_WORD.fullmatch(word)}
