"""What a step trains on, and its scores."""

from __future__ import annotations

import numpy as np

from ance_ir.training import RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches


def _batches(queries: TrainingQueries, **settings: int) -> Batches:
    return Batches(queries, RandomNegatives(queries), TrainingSettings(**{"steps": 100, "batch_size": 5, **settings}))


def test_each_pass_visits_every_query_once(queries: TrainingQueries) -> None:
    batches = _batches(queries, batch_size=4, accumulation=2)
    visited = np.concatenate([batch.queries for step in range(6) for batch in batches.of_step(step)])
    assert sorted(visited[:24]) == sorted(visited[24:]) == list(range(24))
    assert (visited[:24] != visited[24:]).any()


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
