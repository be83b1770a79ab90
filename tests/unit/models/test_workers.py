"""Processes that tokenise: the same vectors, and nothing is left of them however their parent ends."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import ance_ir.models.dense.encoding as encoding
from ance_ir.errors import IndexingError, UsageError
from ance_ir.indexes import FirstP, MaxP, SlidingWindow
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.models.dense.encoding import gather, pieces
from ance_ir.models.dense.workers import Workers
from ance_ir.models.text.settings import Text
from ance_ir.models.text.tokens import Tokens
from tests.processes import CONTEXT, start
from tests.tiny import WORDS, encoder
from tests.training_jobs import tokenize_until_killed

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
TEXTS: list[Text] = [" ".join(RNG.choice(WORDS, size=RNG.integers(0, 40))) for _ in range(200)]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIECE", 3)
    monkeypatch.setitem(encoding.WINDOW_TOKENS, "cpu", 300)


def cutting(model: DenseEncoder, scheme: PassageScheme) -> Callable[[list[Text]], Tokens]:
    return partial(model.tokenizer.cut, scheme=scheme)


def encoded(model: DenseEncoder, texts: list[Text], workers: Workers[list[Text]]) -> tuple[np.ndarray, np.ndarray]:
    return gather(model.encode_tokens(workers.tokenized(pieces(texts), CPU)), model.dimension)


def running(processes: set[int]) -> set[int]:
    """Those of the processes that have not ended."""
    found = set()
    for process in processes:
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.add(process)
    return found


def wait_for_the_end_of(processes: set[int]) -> None:
    until = time.monotonic() + 20
    while left := running(processes):
        assert time.monotonic() < until, f"{left} of {processes} still run"
        time.sleep(0.01)


def pids(workers: Workers[list[Text]]) -> set[int]:
    assert workers._pool is not None
    return set(workers._pool._processes)


@pytest.mark.parametrize("count", [1, 3])
def test_processes_change_no_bit(count: int) -> None:
    texts = [*TEXTS, "", "größe 日本 \ud800", *(("a cat", text) for text in TEXTS[:20] if isinstance(text, str))]
    for scheme in (FirstP(8), MaxP(8, 3), SlidingWindow(8, 3)):
        model = encoder(text={"title_pair": True, "lower_case": True, "passage_prefix": "passage: "} if count == 1 else {})
        with Workers(cutting(model, scheme), count) as workers:
            for some in (texts, [], texts[:1]):
                vectors, counts = encoded(model, some, workers)
                expected, expected_counts = model.encode_documents(some, scheme)
                np.testing.assert_array_equal(vectors, expected)
                np.testing.assert_array_equal(counts, expected_counts)
            processes = pids(workers)
            assert 1 <= len(processes) <= count
        wait_for_the_end_of(processes)


def test_no_more_texts_are_read_than_are_tokenised_ahead() -> None:
    model, read = encoder(), list[Text]()

    def reading() -> Iterator[Text]:
        for text in TEXTS:
            read.append(text)
            yield text

    with Workers(cutting(model, FirstP()), 2) as workers:
        stream = workers.tokenized(pieces(reading()), CPU)
        next(stream)
        assert len(read) <= 3 * (encoding.LOOK_AHEAD["cpu"] + 2)
        stream.close()


class Failing:
    """A scheme that cannot cut."""

    length, whole, special_once = None, False, False

    def windows(self, tokens: int, room: int) -> list[tuple[int, int]]:
        raise ZeroDivisionError("in the worker")


def test_an_error_of_a_worker_is_shown() -> None:
    with pytest.raises(ZeroDivisionError, match="in the worker"), Workers(cutting(encoder(), Failing()), 2) as workers:
        list(workers.tokenized(pieces(TEXTS), CPU))
    with pytest.raises(UsageError, match="passages of 500 tokens"), Workers(cutting(encoder(), FirstP(500)), 2) as workers:
        list(workers.tokenized(pieces(TEXTS), CPU))


def test_a_worker_that_is_killed_is_told_of() -> None:
    with Workers(cutting(encoder(), FirstP()), 2) as workers:
        stream = workers.tokenized(pieces(TEXTS), CPU)
        next(stream)
        for process in pids(workers):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(IndexingError, match="memory"):
            list(stream)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(how: signal.Signals) -> None:
    receiving, sending = CONTEXT.Pipe(duplex=False)
    parent = start(tokenize_until_killed, sending)
    processes = set(receiving.recv())
    assert running(processes) == processes
    assert len(processes) == 2
    assert parent.pid is not None
    os.kill(parent.pid, how)
    parent.join(20)
    wait_for_the_end_of(processes)


@pytest.mark.parametrize("count", [-1, 0])
def test_fewer_than_one_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"at least 1 process tokenises, not {count}"):
        Workers(cutting(encoder(), FirstP()), count)


@pytest.mark.parametrize("scheme", [FirstP(), MaxP(8, 3), SlidingWindow(8, 3)], ids=repr)
def test_what_a_worker_is_given_can_be_pickled(scheme: PassageScheme) -> None:
    sent = pickle.loads(pickle.dumps(cutting(encoder("roberta"), scheme)))  # noqa: S301
    assert sent(TEXTS).lists() == encoder("roberta").tokenizer.cut(TEXTS, scheme).lists()
