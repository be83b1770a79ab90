"""Warnings for users: what was left out, truncated, assumed or replaced.

Code reports it with ``logger.warning``: one message for each kind, with a count and examples, not one for each case.
The command line shows each message once. ``collected`` gathers them for results, reports and manifests.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from itertools import islice

_PACKAGE = "ance_ir"


class Once(logging.Filter):
    """Passes each warning once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show a record: all below a warning, and warnings whose text has not been shown before."""
        if record.levelno < logging.WARNING:
            return True
        message = record.getMessage()
        new = message not in self._seen
        self._seen.add(message)
        return new


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(Once())
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """While entered, the list yielded gets each warning of this package once, in order."""
    collector, logger = _Collector(), logging.getLogger(_PACKAGE)
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


def examples(items: Iterable[object], most: int = 3) -> str:
    """The first few of some items, for a message: ``'d1', 'd2', 'd3', …``."""
    first = list(islice(items, most + 1))
    return ", ".join([*map(repr, first[:most]), *(["…"] if len(first) > most else [])])
