"""The catalogue of ``ir_datasets``: its ids, which of them are over the same documents, and their records."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

from ance_ir.errors import DatasetNotFoundError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PULLED = 1024
"""Records that are read at a time."""


def catalogue() -> list[str]:
    """All ids, except those that are made when they are asked for."""
    import ir_datasets

    return list(ir_datasets.registry)


def find(identifier: str) -> Any | None:
    """The ``ir_datasets`` object of that id, or ``None`` if there is none; downloads nothing."""
    import ir_datasets

    # Its progress bars would appear in the caller's terminal.
    os.environ.setdefault("IR_DATASETS_DL_DISABLE_PBAR", "true")
    with _Log():
        try:
            return ir_datasets.load(identifier)
        except KeyError:
            return None


def load(identifier: str) -> Any:
    """The ``ir_datasets`` object of that id; downloads nothing.

    Raises:
        DatasetNotFoundError: there is none.
    """
    source = find(identifier)
    if source is None:
        raise DatasetNotFoundError(f"ir_datasets has no dataset {identifier!r}")
    return source


def corpus_of(identifier: str) -> str:
    """The shortest id with the same documents, among those that an id begins with."""
    import ir_datasets

    with _Log():
        parent: str = ir_datasets.docs_parent_id(identifier)
    return parent


def asks_the_same(identifier: str, other: str) -> bool:
    """Whether another id has queries, over the same documents."""
    first, second = find(identifier), find(other)
    if first is None or second is None or not (first.has_docs() and second.has_docs() and second.has_queries()):
        return False
    return bool(first.docs_handler() == second.docs_handler())


def children(identifier: str) -> tuple[str, ...]:
    """The ids below one that have queries over the same documents, in order, without the id itself: ``dev/small``."""
    prefix = f"{identifier}/"
    below = sorted(other for other in catalogue() if other.startswith(prefix))
    return tuple(other.removeprefix(prefix) for other in below if asks_the_same(identifier, other))


def fetch(identifier: str, source: Callable[[], Iterable[T]]) -> Iterator[T]:
    """The records of a source.

    Args:
        identifier: its id, for messages.
        source: opens it.

    Raises:
        DatasetNotFoundError: it cannot be downloaded or read; says where to put the files.
    """
    records: Iterator[T] | None = None
    log = _Log()
    while True:
        pulled: list[T] = []
        failed: Exception | None = None
        with log:  # for many records at once: to enter takes time
            try:
                records = iter(source()) if records is None else records
                for record in islice(records, _PULLED):
                    pulled.append(record)  # what came before a failure is kept
            except Exception as error:
                failed = error
        yield from pulled
        if failed is not None:
            raise DatasetNotFoundError(_advice(identifier, failed, log.messages)) from failed
        if len(pulled) < _PULLED:
            return


_PROGRESS = ("download error", "Download failed", "[starting]", "[finished]", "[error]")
"""How messages begin that tell the user nothing."""


def _advice(identifier: str, error: Exception, messages: list[str]) -> str:
    import ir_datasets

    if isinstance(error, ImportError):  # it says what to install
        return f"ir_datasets cannot provide {identifier!r}: {error}"
    home = ir_datasets.util.home_path()
    said = [message for message in dict.fromkeys(messages) if not message.startswith(_PROGRESS)]
    return " ".join(
        [
            f"ir_datasets cannot provide {identifier!r}: {_reason(error)}.",
            *said,
            f"Fetch it on a machine with a network and copy that machine's {home} ($IR_DATASETS_HOME) here,",
            "or give a collection directory (corpus.jsonl, queries.tsv, qrels.txt) in its place.",
        ]
    )


def _reason(error: Exception) -> str:
    """The cause of an error, without the layers of exceptions around a failed download."""
    unreachable = re.search(r"(?:https?://|host=.?')([^/'\\\s]+).*(Failed to resolve|Max retries exceeded)", str(error), re.DOTALL)
    if unreachable:
        return f"{unreachable[1]} cannot be reached"
    return f"{type(error).__name__}: {str(error)[:500]}"


class _Quiet(io.TextIOBase):
    """Stands for the standard error while threads are in ``within``: drops what these write, progress bars that nobody asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: Counter[int] = Counter()
        self._stderr: Any = None

    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        thread = threading.get_ident()
        with self._lock:
            if not self._threads:
                self._stderr, sys.stderr = sys.stderr, self
            self._threads[thread] += 1
        try:
            yield
        finally:
            with self._lock:
                self._threads[thread] -= 1
                self._threads = +self._threads
                if not self._threads and sys.stderr is self:
                    sys.stderr = self._stderr

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() in self._threads else int(self._stderr.write(text))

    def flush(self) -> None:
        if self._stderr is not None:
            self._stderr.flush()


_quiet = _Quiet()


class _Log(logging.Handler):
    """While entered, sends the log of ``ir_datasets`` to this package's own log and into ``messages``, and its progress bars nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._handlers: list[logging.Handler] = []
        self._silence: contextlib.AbstractContextManager[None]

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        logger.info("ir_datasets: %s", record.getMessage())

    def __enter__(self) -> None:
        import ir_datasets

        log = ir_datasets.log.easy().logger()
        self._handlers, log.handlers = log.handlers, [self]
        self._silence = _quiet.within()
        self._silence.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        import ir_datasets

        self._silence.__exit__(kind, error, traceback)
        ir_datasets.log.easy().logger().handlers = self._handlers
