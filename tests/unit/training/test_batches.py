"""What a step trains on, and its scores."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from ance_ir.training import RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import _ORDER, Batches


def _batches(queries: TrainingQueries, **settings: int) -> Batches:
    return Batches(queries, RandomNegatives(queries), TrainingSettings(**{"steps": 100, "batch_size": 5, **settings}))


def test_each_pass_visits_every_query_once(queries: TrainingQueries) -> None:
    batches = _batches(queries, batch_size=4, accumulation=2)
    visited = np.concatenate([batch.queries for step in range(6) for batch in batches.of_step(step)])
    assert sorted(visited[:24]) == sorted(visited[24:]) == list(range(24))
    assert (visited[:24] != visited[24:]).any()


def test_all_queries_are_put_in_order_once_a_pass_and_not_once_a_batch(queries: TrainingQueries, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: Counter[int] = Counter()
    seeded = np.random.default_rng

    def counting(seed: list[int]) -> Any:
        if seed[1] == _ORDER:
            drawn[seed[2]] += 1
        return seeded(seed)

    monkeypatch.setattr(np.random, "default_rng", counting)
    batches = _batches(queries, batch_size=5)
    visited = np.concatenate([batches.of_step(step)[0].queries for step in range(10)])
    assert drawn == {0: 1, 1: 1, 2: 1}
    for one in range(2):
        assert (visited[24 * one : 24 * (one + 1)] == seeded([42, _ORDER, one]).permutation(24)).all()


def test_a_step_does_not_depend_on_the_steps_before(queries: TrainingQueries) -> None:
    batches = _batches(queries, negatives=3)
    straight = [batches.of_step(step)[0] for step in range(9)][8]
    alone = _batches(queries, negatives=3).of_step(8)[0]
    for name in ("queries", "positives", "negatives"):
        assert (getattr(straight, name) == getattr(alone, name)).all()
    assert (_batches(queries, negatives=3, seed=1).of_step(8)[0].queries != alone.queries).any()


def test_negatives_are_never_excluded(queries: TrainingQueries) -> None:
    for step in range(20):
        for batch in _batches(queries, negatives=4).of_step(step):
            for query, positive, negatives in zip(batch.queries, batch.positives, batch.negatives, strict=True):
                assert positive in queries.positives[query]
                assert not np.isin(negatives, queries.excluded[query]).any()


def test_each_step_draws_anew() -> None:
    alike = np.array([0])
    queries = TrainingQueries(qids=["q"], texts=["who"], positives=[alike], excluded=[alike], documents=10_000)
    drawn = [_batches(queries, batch_size=1, negatives=5).of_step(step)[0].negatives for step in range(3)]
    assert (drawn[0] != drawn[1]).any()
    assert (drawn[1] != drawn[2]).any()
