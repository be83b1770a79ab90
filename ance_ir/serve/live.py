"""Indexes that change while they are served: the new state is opened beside the old one, which requests in flight finish on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ance_ir.errors import AnceError
from ance_ir.indexes import AnceIndex, DenseRetriever
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.pipelines import BM25Index
from ance_ir.serve.server import Server
from ance_ir.serve.systems import OverIndex

logger = logging.getLogger(__name__)

Index = AnceIndex | BM25Index
Stamp = tuple[int, int, int]

SECONDS = 1.0
"""Between two looks at the manifests."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Watched:
    """An index that transformers of a system use, as it is now."""

    system: str
    index: Index
    parts: tuple[OverIndex, ...]


class Live(threading.Thread):
    """Watches the indexes of a server.

    Args:
        server: whose systems.
        seconds: between two looks.
    """

    def __init__(self, server: Server, seconds: float = SECONDS) -> None:
        super().__init__(name="live", daemon=True)
        self._server = server
        self._seconds = seconds
        self._stamps: dict[Path, Stamp] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while not self._ended.wait(self._seconds):
            self.look()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join()

    def look(self) -> None:
        """Take over what has changed since the last look."""
        seen = {folder: _stamp(folder) for folder in {_folder(one.index) for one in self._watched()}}
        changed = {folder for folder, stamp in seen.items() if stamp is not None and stamp != self._stamps.get(folder)}
        for watched in self._watched():
            if _folder(watched.index) in changed:
                try:
                    self._take_over(watched)
                except (AnceError, OSError) as error:
                    logger.warning("%s has changed and is served as it was: %s", _folder(watched.index), error)
        self._stamps |= {folder: stamp for folder, stamp in seen.items() if stamp is not None}

    def _take_over(self, watched: _Watched) -> None:
        index = _opened_anew(watched.index)
        if index.manifest == watched.index.manifest:
            return
        _prepare(index, watched)

        def swap() -> None:
            for part in watched.parts:
                part.index = index

        self._server.between(watched.system, swap)
        logger.info("%s has changed and is served as it is now", _folder(index))

    def _watched(self) -> Iterator[_Watched]:
        for system in [*self._server.systems.values()]:
            indexes = {id(part.index): part.index for part in system.over_indexes if isinstance(part.index, AnceIndex | BM25Index)}
            for index in indexes.values():
                parts = tuple(part for part in system.over_indexes if part.index is index)
                yield _Watched(system=system.name, index=index, parts=parts)


def _opened_anew(index: Index) -> Index:
    """The same index as it is now."""
    if isinstance(index, AnceIndex):
        return AnceIndex(index.folder)
    return BM25Index(index.path, engine=index.engine, stemmer=index.stemmer, stopwords=index.stopwords, threads=index.threads)


def _prepare(index: Index, watched: _Watched) -> None:
    """Load what its transformers need of an index.

    Raises:
        FingerprintError: it was made by another model.
        AnceError: it is damaged, or was not built as they search it.
    """
    for part in watched.parts:
        if isinstance(index, AnceIndex) and isinstance(part, DenseRetriever):
            if _fingerprint(index) != _fingerprint(part.index):
                index.check_model(part.model)
            index.searcher(part.backend, memory_budget=part.memory_budget, device=str(part.model.device))


def _fingerprint(index: SearchableIndex) -> str | None:
    encoding = index.manifest["encoding"]
    return encoding["fingerprint"] if encoding else None


def _folder(index: Index) -> Path:
    return index.folder if isinstance(index, AnceIndex) else index.path


def _stamp(folder: Path) -> Stamp | None:
    """What changes with the manifest of an index; ``None`` where there is none at the moment."""
    try:
        found = (folder / "manifest.json").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
