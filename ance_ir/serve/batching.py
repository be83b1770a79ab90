"""Requests that wait are computed together: the worker of one system, or of several that share a model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ance_ir.errors import AnceError
from ance_ir.serve.limits import Limits
from ance_ir.serve.metrics import Metrics
from ance_ir.serve.refusals import Refusal

logger = logging.getLogger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")
Run = Callable[[Sequence[Q]], Sequence[A]]
"""Answers several requests, one answer each, in their order; each as if it were alone."""

SHARE = 0.1
"""Of the seconds that a request may take, what a batch takes, about: nobody waits longer than that for others' requests to be computed."""
GATHER = 0.002
"""Seconds that a batch waits for as many requests as the one before it had: their clients are about to ask again."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A request that waits."""

    run: Run[Any, Any]
    asked: Any
    alone: bool
    answer: asyncio.Future[Any]


class Worker:
    """A thread that answers requests, those of one kind that wait together in one call.

    Models and engines are used by one thread at a time, so systems that share one share their worker.

    Args:
        limits: of requests that wait, and that are computed together.
        name: of the thread.
        metrics: count what it does.
    """

    def __init__(self, limits: Limits, name: str, metrics: Metrics) -> None:
        self.name = name
        self._limits = limits
        self._computed = metrics.of_worker(name, lambda: len(self._queue))
        self._between: deque[Callable[[], None]] = deque()
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._last = 1
        self._seconds: dict[Run[Any, Any], float] = {}  # a request, by what it asks for: the mean over recent batches
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def ask(self, run: Run[Q, A], asked: Q, *, alone: bool = False) -> A:
        """The answer to a request, computed together with others that wait for the same ``run``.

        Args:
            run: answers it.
            asked: the request.
            alone: it gains nothing by others, so it is not computed together with them.

        Raises:
            Refusal: too many wait, the server ends, or the answer takes too long.
        """
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._closed:
                raise Refusal(503, "the server is shutting down", retry_after=1)
            if len(self._queue) >= self._limits.waiting:
                raise Refusal(503, f"{len(self._queue)} requests wait already; ask again later", retry_after=self._until_free())
            self._queue.append(waiting := _Waiting(run, asked, alone, answer))
            self._changed.notify()
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await answer
        except TimeoutError:
            raise Refusal(504, f"no answer within {self._limits.seconds:g} s; ask later, or for fewer documents") from None
        finally:
            if answer.cancelled():
                self._forget(waiting)

    def between(self, act: Callable[[], None]) -> None:
        """Call a function in the thread, between two computations."""
        with self._changed:
            self._between.append(act)
            self._changed.notify()

    def close(self) -> None:
        """Answer those that wait, and take no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _forget(self, waiting: _Waiting) -> None:
        """Take out a request that nobody waits for any more, unless it is being computed."""
        with self._changed, contextlib.suppress(ValueError):
            self._queue.remove(waiting)

    def _until_free(self) -> int:
        """Seconds, at least 1, until those that wait now are answered."""
        return max(1, math.ceil(sum(self._seconds.get(one.run, 0.0) for one in self._queue)))

    def _work(self) -> None:
        while batch := self._next():
            started = time.perf_counter()
            answers = _answers(batch)
            seconds = time.perf_counter() - started
            each, run = seconds / len(batch), batch[0].run
            before = self._seconds.get(run, each)
            self._seconds[run] = before + 0.2 * (each - before)
            self._computed(len(batch), seconds)
            for loop in {one.answer.get_loop() for one in batch}:
                given = [(one.answer, answer) for one, answer in zip(batch, answers, strict=True) if one.answer.get_loop() is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_give, given)

    def _next(self) -> list[_Waiting]:
        """The requests to answer next; none once the worker is closed and nobody waits."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._between or self._closed)
                self._changed.wait_for(lambda: len(self._queue) >= self._last or self._between or self._closed, GATHER)
                acts, batch = [*self._between], self._drawn()
                self._between.clear()
                done = self._closed and not self._queue
            for act in acts:
                _tried(act)
            if batch or done:
                return batch

    def _drawn(self) -> list[_Waiting]:
        """Take those out of the queue that are answered together with the first."""
        batch: list[_Waiting] = []
        others: list[_Waiting] = []
        while self._queue and len(batch) < (self._together(batch[0]) if batch else 1):
            one = self._queue.popleft()
            if not one.answer.cancelled():
                (batch if not batch or one.run == batch[0].run else others).append(one)
        self._queue.extendleft(reversed(others))
        self._last = max(len(batch), 1)
        return batch

    def _together(self, first: _Waiting) -> int:
        """How many are computed with a request, itself included; as long as it is not known what one takes, one."""
        each = self._seconds.get(first.run)
        if first.alone or each is None:
            return 1
        return max(1, min(self._limits.together, int(SHARE * self._limits.seconds / max(each, 1e-6))))


def _tried(act: Callable[[], None]) -> None:
    try:
        act()
    except Exception:
        logger.exception("a change between two requests failed")


def _answers(batch: Sequence[_Waiting]) -> Sequence[Any]:
    """The answers, or the errors in their place."""
    try:
        return batch[0].run([one.asked for one in batch])
    except Exception as error:
        if len(batch) == 1:
            return [error]
        if not isinstance(error, AnceError):
            logger.exception("%d requests together failed; each is tried alone", len(batch))
        return [answer for one in batch for answer in _answers([one])]


def _give(answers: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in answers:
        if not future.done():
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
