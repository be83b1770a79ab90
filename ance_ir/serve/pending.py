"""Systems that are not ready yet: they are opened, and what they need is built, while the server answers for the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from ance_ir.datasets import Dataset
from ance_ir.errors import AnceError
from ance_ir.progress import Told
from ance_ir.serve.replies import SystemReply
from ance_ir.serve.systems import Served, open_systems

logger = logging.getLogger(__name__)

AT_ONCE = "bm25"
"""What searches a collection from the start, where no systems are named …"""
MODEL, PASSAGES = "all-MiniLM-L6-v2", "sliding:128,96"
"""… and what joins it: an encoder, and passages of whole documents, so that nothing in them stays unfound."""


class _Stopped(Exception):
    """The server ends."""


class Pending:
    """A system that a thread opens, and hands over when it is ready.

    Args:
        name: of the system.
        text: what ``--system`` would be given.
        opens: opens it; the function that it gets is to be told the progress.

    Attributes:
        done: documents in its index, of ``total``.
        total: documents; 0 as long as nothing is being built.
        error: why it will not be ready; empty as long as it may be.
    """

    def __init__(self, name: str, text: str, opens: Callable[[Told], Served]) -> None:
        self.name, self.text = name, text
        self.done, self.total, self.error = 0, 0, ""
        self._opens = opens
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"opening {name}", daemon=True)
        self._joins: Callable[[Served], object] = lambda system: None

    def start(self, joins: Callable[[Served], object]) -> None:
        """Begin; the system is given to a function, in another thread, when it is ready."""
        self._joins = joins
        self._thread.start()

    def stop(self) -> None:
        """End once the documents in hand are encoded, if they are: the next attempt goes on from there. Nothing else is waited for."""
        self._stopping.set()
        if self.total:
            self._thread.join()

    @property
    def state(self) -> str:
        """What there is to wait for."""
        if self.error:
            return self.error
        return f"{self.done:,} of {self.total:,} documents are in its index" if self.total else "it is being opened"

    def described(self) -> SystemReply:
        """The system, as ``/v1/systems`` shows it."""
        reply: SystemReply = {"name": self.name, "text": self.text, "offers": [], "ready": False, "done": self.done, "total": self.total}
        return {**reply, "error": self.error} if self.error else reply

    def _told(self, done: int, total: int) -> None:
        if self._stopping.is_set():
            raise _Stopped
        self.done, self.total = done, total

    def _work(self) -> None:
        try:
            self._joins(self._opens(self._told))
        except _Stopped:
            logger.info("the server ends before %s is ready: %s", self.name, self.state)
        except (AnceError, OSError) as error:
            self.error = " ".join(str(error).split())
            logger.error("%s will not be ready: %s", self.name, self.error)
        except Exception as error:
            self.error = f"the server failed ({type(error).__name__}); its log has the reason"
            logger.exception("%s will not be ready", self.name)


def dense_later(dataset: Dataset, model: str, **options: Any) -> Pending:
    """Dense retrieval over a dataset, whose index is built, or is made complete, while the server runs.

    Args:
        dataset: the collection.
        model: the encoder: a folder, a training run or a hub name.
        options: of ``open_systems``.
    """
    text = f'dense=ance[model="{model}"; passages={PASSAGES}]'
    return Pending("dense", text, lambda told: open_systems(dataset, [text], told=told, **options)[0])
