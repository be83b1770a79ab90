"""What a step trains on, and its scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset
from ance_ir.indexes import FirstP, MaxP
from ance_ir.training import RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batch, Batches, score
from tests.tiny import encoder


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


@pytest.mark.parametrize("scheme", [FirstP(), MaxP(5, 3)], ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_scores_are_those_of_the_vectors(dataset: Dataset, queries: TrainingQueries, scheme: FirstP | MaxP, shared: bool) -> None:
    model, store = encoder(shared=shared), dataset.store()
    batch = _batches(queries, negatives=2).of_step(0)[0]
    positive, negative, _ = score(model, batch, queries, store, scheme)
    vectors = model.encode_queries([queries.texts[query] for query in batch.queries])
    for row, query in enumerate(vectors):
        for document, found in zip([batch.positives[row], *batch.negatives[row]], [positive[row], *negative[row]], strict=True):
            passages, _ = model.encode_documents([store[int(document)]["text"]], scheme)
            assert float(found.detach()) == pytest.approx(float((passages @ query).max()), rel=1e-4, abs=1e-4)


def test_each_text_is_encoded_once(dataset: Dataset, queries: TrainingQueries) -> None:
    model, store = encoder(), dataset.store()
    batch = Batch(queries=np.array([0, 1]), positives=np.array([0, 1]), negatives=np.array([[7, 7, 1], [7, 0, 8]]))
    tokens = score(model, batch, queries, store, FirstP())[2]
    texts = [store[number]["text"] for number in (0, 1, 7, 8)]
    expected = sum(map(len, model.tokenizer.passages(texts))) + sum(map(len, model.tokenizer.queries(queries.texts[:2])))
    assert tokens == expected


def test_gradients_reach_both_towers(dataset: Dataset, queries: TrainingQueries) -> None:
    model = encoder(shared=False)
    positive, negative, _ = score(model, _batches(queries).of_step(0)[0], queries, dataset.store(), FirstP())
    (negative.mean() - positive.mean()).backward()
    for tower in (model.query_tower, model.passage_tower):
        gradients = [weight.grad for weight in tower.parameters() if weight.requires_grad]
        assert any(gradient is not None and torch.linalg.norm(gradient) > 0 for gradient in gradients)


def test_each_step_draws_anew() -> None:
    alike = np.array([0])
    queries = TrainingQueries(qids=["q"], texts=["who"], positives=[alike], excluded=[alike], documents=10_000)
    drawn = [_batches(queries, batch_size=1, negatives=5).of_step(step)[0].negatives for step in range(3)]
    assert (drawn[0] != drawn[1]).any()
    assert (drawn[1] != drawn[2]).any()
