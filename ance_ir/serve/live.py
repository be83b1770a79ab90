"""Indexes that change while they are served: the new state is opened beside the old one, which requests in flight finish on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from ance_ir.errors import AnceError
from ance_ir.indexes import AnceIndex, DenseRetriever
from ance_ir.indexes.searchable import SearchableIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import BM25Index, SparseIndex
from ance_ir.pipelines.adaptive import AdaptiveRetriever
from ance_ir.serve.server import Server
from ance_ir.serve.systems import OverIndex

logger = logging.getLogger(__name__)

Index = AnceIndex | BM25Index | SparseIndex
Stamp = tuple[int, int, int]

SECONDS = 1.0
"""Between two looks at the manifests."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Watched:
    """An index as it is now, and the transformers that use it, by system."""

    index: Index
    parts: dict[str, list[OverIndex]] = field(default_factory=dict)


class Live(threading.Thread):
    """Watches the indexes of a server; as a context, from its entry to its end.

    Args:
        server: whose systems.
        seconds: between two looks.
    """

    def __init__(self, server: Server, seconds: float = SECONDS) -> None:
        super().__init__(name="live", daemon=True)
        self._server = server
        self._seconds = seconds
        self._stamps: dict[Path, Stamp] = {}
        self._again: dict[Path, Stamp] = {}  # that could not be opened for another reason than what they hold
        self._ended = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while not self._ended.wait(self._seconds):
            self.look()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self.join()

    def look(self) -> None:
        """Take over what has changed since the last look."""
        stamps: dict[Path, Stamp] = {}
        again: dict[Path, Stamp] = {}
        for watched in self._watched():
            folder = _folder(watched.index)
            stamp = _stamp(folder)
            if stamp is None or stamp == self._stamps.get(folder):
                continue
            stamps[folder] = stamp
            try:
                self._take_over(watched)
            except AnceError as error:
                logger.warning("%s has changed and is served as it was: %s", folder, error)
            except Exception:
                again[folder] = stamp
                if stamp != self._again.get(folder):
                    logger.exception("%s has changed and is served as it was; it is tried again", folder)
        self._stamps |= {folder: stamp for folder, stamp in stamps.items() if folder not in again}
        self._again = again

    def _take_over(self, watched: _Watched) -> None:
        index = _opened_anew(watched.index)
        if index.manifest == watched.index.manifest:
            return
        _prepare(index, watched)
        for system, parts in watched.parts.items():
            self._server.between(system, partial(_swap, parts, index))
        logger.info("%s has changed and is served as it is now", _folder(index))

    def _watched(self) -> list[_Watched]:
        found: dict[int, _Watched] = {}
        for system in [*self._server.systems.values()]:
            for part in system.over_indexes:
                if isinstance(part.index, Index):
                    watched = found.setdefault(id(part.index), _Watched(index=part.index))
                    watched.parts.setdefault(system.name, []).append(part)
        return [*found.values()]


def _swap(parts: Sequence[OverIndex], index: Index) -> None:
    for part in parts:
        part.index = index


def _opened_anew(index: Index) -> Index:
    """The same index as it is now."""
    if isinstance(index, AnceIndex):
        return AnceIndex(index.folder)
    if isinstance(index, SparseIndex):
        return SparseIndex(index.folder, index.encoder, bits=index.bits, threads=index.threads)
    return BM25Index(
        index.path, engine=index.engine, stemmer=index.stemmer, stopwords=index.stopwords, language=index.language, threads=index.threads
    )


def _prepare(index: Index, watched: _Watched) -> None:
    """Load what its transformers need of an index.

    Raises:
        FingerprintError: it was made by another model.
        AnceError: it is damaged, or was not built as they search it.
    """
    if isinstance(index, SparseIndex):
        _ = index.encoder
    if isinstance(index, BM25Index | SparseIndex):
        _ = index.searcher, index.docnos, index.tie_order
    if not (isinstance(index, AnceIndex) and isinstance(watched.index, AnceIndex)):
        return
    another = _fingerprint(index) != _fingerprint(watched.index)
    for part in chain(*watched.parts.values()):
        model = getattr(part, "model", None)
        if another and isinstance(model, DenseEncoder):
            index.check_model(model)
        if isinstance(part, DenseRetriever):
            index.searcher(part.backend, memory_budget=part.memory_budget, device=str(part.model.device))
        if isinstance(part, AdaptiveRetriever):
            part.prepare(index)


def _fingerprint(index: SearchableIndex) -> str | None:
    encoding = index.manifest["encoding"]
    return encoding["fingerprint"] if encoding else None


def _folder(index: Index) -> Path:
    return index.path if isinstance(index, BM25Index) else index.folder


def _stamp(folder: Path) -> Stamp | None:
    """What changes with the manifest of an index; ``None`` where there is none at the moment."""
    try:
        found = (folder / "manifest.json").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
