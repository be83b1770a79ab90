"""Several training sets in one run, over one corpus or several."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ance_ir.datasets import Dataset
from ance_ir.datasets.store.joined import JoinedDocuments
from ance_ir.errors import UsageError
from ance_ir.training import RandomNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batches


def part(queries: int, documents: int) -> TrainingQueries:
    """Queries whose positives are the documents of their number."""
    names = [f"q{i}" for i in range(queries)]
    own = [np.array([i]) for i in range(queries)]
    return TrainingQueries(qids=names, texts=names, positives=own, excluded=own, documents=documents)


def batches(queries: TrainingQueries, **settings: int) -> Batches:
    return Batches(queries, RandomNegatives(queries), TrainingSettings(**{"steps": 600, "batch_size": 4, **settings}))  # type: ignore[arg-type]


def test_a_single_set_stays_as_it_is() -> None:
    one = part(9, 20)
    assert TrainingQueries.joined([one], [0]) is one
    assert one.parts[0].queries == range(9)


def test_each_batch_is_of_one_set_and_sets_come_by_weight() -> None:
    joined = TrainingQueries.joined([part(9, 20), part(30, 50)], [0, 20], [3, 1])
    assert (len(joined), joined.documents, joined.qids[9]) == (39, 70, "q0")
    drawn = batches(joined, negatives=5)
    firsts = 0
    for step in range(600):
        (batch,) = drawn.of_step(step)
        sets = batch.queries >= 9
        assert sets.all() or not sets.any()
        firsts += not sets.any()
        own = (batch.negatives >= 20) == sets[:, None]
        assert own.all(), "a negative comes from the query's own corpus"
        assert (batch.positives == batch.queries + (11 if sets.all() else 0)).all()
        assert not (batch.negatives == batch.positives[:, None]).any()
    assert 0.7 < firsts / 600 < 0.8


def test_weights_are_by_default_in_proportion_to_the_queries() -> None:
    joined = TrainingQueries.joined([part(9, 20), part(27, 50)], [0, 20])
    assert [one.weight for one in joined.sets] == [9, 27]
    for weights in ([1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]):
        with pytest.raises(UsageError, match="2 training sets"):
            TrainingQueries.joined([part(9, 20), part(27, 50)], [0, 20], weights)


def test_a_pass_over_a_set_has_each_of_its_queries_once() -> None:
    joined = TrainingQueries.joined([part(8, 20), part(12, 20)], [0, 0], [1, 2])
    order = [batch.queries for step in range(600) for batch in batches(joined, accumulation=2, steps=600).of_step(step)]
    for queries, first in ((8, 0), (12, 8)):
        own = np.concatenate([row for row in order if first <= row[0] < first + queries])
        passes = [own[start : start + queries] for start in range(0, len(own) - queries, queries)]
        assert all(sorted(one) == list(range(first, first + queries)) for one in passes)
        assert any((one != other).any() for one, other in pairwise(passes))


def test_a_step_depends_on_seed_and_step_alone() -> None:
    joined = TrainingQueries.joined([part(9, 20), part(30, 50)], [0, 20])
    one, other = batches(joined, seed=3), batches(joined, seed=3)
    before = [one.of_step(step)[0].queries.tolist() for step in range(20)]
    assert [other.of_step(step)[0].queries.tolist() for step in reversed(range(20))] == before[::-1]
    assert [batches(joined, seed=4).of_step(step)[0].queries.tolist() for step in range(20)] != before


def test_the_queries_of_a_corpus_are_numbered_within_it() -> None:
    joined = TrainingQueries.joined([part(3, 20), part(4, 50), part(2, 20)], [0, 20, 0])
    rows, own = joined.of_corpus(range(20))
    assert (rows.tolist(), own.documents, len(own)) == ([0, 1, 2, 7, 8], 20, 5)
    rows, own = joined.of_corpus(range(20, 70))
    assert rows.tolist() == [3, 4, 5, 6]
    assert [found.tolist() for found in own.positives] == [[0], [1], [2], [3]]


def test_documents_of_several_stores_have_one_numbering(dataset: Dataset) -> None:
    store = dataset.store()
    joined = JoinedDocuments([store, store])
    assert len(joined) == 2 * len(store)
    assert joined[0] == joined[len(store)] == store[0]
    assert joined[len(store) - 1] == joined[2 * len(store) - 1] == store[len(store) - 1]
    assert joined.docnos([[1, len(store) + 2]]).tolist() == [["d1", "d2"]]
    for number in (-1, 2 * len(store)):
        with pytest.raises(IndexError):
            joined[number]
