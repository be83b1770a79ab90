"""Requests that wait are computed together, and nobody else's mistake or wait is one's own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from ance_ir.errors import UsageError
from ance_ir.serve.batching import Worker
from ance_ir.serve.limits import Limits
from ance_ir.serve.metrics import Metrics
from ance_ir.serve.refusals import Refusal


class Held:
    """Doubles numbers once it is let; remembers what came together."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.entered.set()
        assert self.let.wait(10)
        if 13 in numbers:
            raise UsageError("13 is refused")
        return [2 * number for number in numbers]


Make = Callable[..., Worker]


@pytest.fixture
def make() -> Iterator[Make]:
    workers: list[Worker] = []

    def made(**limits: Any) -> Worker:
        workers.append(Worker(Limits(**limits), f"worker {len(workers)}", Metrics()))
        return workers[-1]

    yield made
    for worker in workers:
        worker.close()


def entered(held: Held) -> Coroutine[Any, Any, bool]:
    return asyncio.to_thread(held.entered.wait, 10)


def test_what_waits_is_computed_together_and_a_mistake_is_its_own(make: Make) -> None:
    held, other, worker = Held(), Held(), make(together=3)
    other.let.set()

    async def ask() -> list[Any]:
        first = asyncio.create_task(worker.ask(held, 0))
        await entered(held)
        asked = [asyncio.create_task(worker.ask(held, number)) for number in (1, 13, 2, 3)]
        apart = asyncio.create_task(worker.ask(other, 5))
        await asyncio.sleep(0)
        held.let.set()
        return await asyncio.gather(first, *asked, apart, return_exceptions=True)

    answers = asyncio.run(ask())
    assert [answers[place] for place in (0, 1, 3, 4, 5)] == [0, 2, 4, 6, 10]
    assert isinstance(answers[2], UsageError)
    assert held.batches == [[0], [1, 13, 2], [1], [13], [2], [3]]
    assert other.batches == [[5]]


def test_too_many_are_sent_away_and_a_slow_answer_is_given_up(make: Make) -> None:
    held, worker = Held(), make(waiting=1, seconds=0.05)

    async def ask() -> list[Any]:
        first = asyncio.create_task(worker.ask(held, 0))
        await entered(held)
        answers = await asyncio.gather(first, worker.ask(held, 1), worker.ask(held, 2), return_exceptions=True)
        return answers + await asyncio.gather(worker.ask(held, 3), return_exceptions=True)

    answers = asyncio.run(ask())
    held.let.set()
    assert [(answer.status, answer.retry_after) for answer in answers] == [(504, None), (504, None), (503, 1), (504, None)]
    worker.close()
    assert held.batches == [[0]], "a request that was given up is not computed"


def test_so_many_are_computed_together_as_do_not_take_long(make: Make) -> None:
    worker, sizes = make(seconds=3), []

    def slow(numbers: Sequence[int]) -> list[int]:
        sizes.append(len(numbers))
        time.sleep(0.12 * len(numbers))
        return [2 * number for number in numbers]

    async def ask() -> list[int]:
        return await asyncio.gather(*(worker.ask(slow, number) for number in range(6)))

    assert asyncio.run(ask()) == [0, 2, 4, 6, 8, 10]
    assert max(sizes) <= 2


def test_what_gains_nothing_by_others_is_computed_alone(make: Make) -> None:
    held, worker = Held(), make()
    held.let.set()

    async def ask() -> list[int]:
        await worker.ask(held, 0)
        return await asyncio.gather(*(worker.ask(held, number, alone=True) for number in (1, 2)), *(worker.ask(held, 3) for _ in "ab"))

    assert asyncio.run(ask()) == [2, 4, 6, 6]
    assert held.batches == [[0], [1], [2], [3, 3]]


def test_a_worker_that_ends_answers_what_waits_and_takes_no_more(make: Make) -> None:
    held, worker = Held(), make()

    async def ask() -> int:
        asked = asyncio.create_task(worker.ask(held, 4))
        await entered(held)
        ending = asyncio.create_task(asyncio.to_thread(worker.close))
        await asyncio.sleep(0.01)
        with pytest.raises(Refusal):
            await worker.ask(held, 5)
        held.let.set()
        await ending
        return await asked

    assert asyncio.run(ask()) == 8
