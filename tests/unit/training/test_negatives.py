"""Sources of negatives: never an excluded document, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.training import CandidateNegatives, RandomNegatives, TrainingQueries


def _queries(excluded: list[list[int]], documents: int) -> TrainingQueries:
    arrays = [np.array(numbers, dtype=np.int64) for numbers in excluded]
    names = [str(i) for i in range(len(excluded))]
    return TrainingQueries(qids=names, texts=names, positives=arrays, excluded=arrays, documents=documents)


@given(st.integers(1, 40), st.data())
def test_random_draws_are_exactly_the_documents_that_are_not_excluded(documents: int, data: st.DataObject) -> None:
    excluded = data.draw(st.sets(st.integers(0, documents - 1), max_size=documents - 1))
    source = RandomNegatives(_queries([sorted(excluded)], documents))
    free = documents - len(excluded)
    drawn = source.draw(np.array([0]), free, np.random.default_rng(0))[0]
    assert sorted(drawn) == sorted(set(range(documents)) - excluded)


def test_random_draws_are_uniform() -> None:
    source = RandomNegatives(_queries([[1, 2]], 6))
    generator = np.random.default_rng(0)
    drawn = np.concatenate([source.draw(np.zeros(100, dtype=int), 1, generator).ravel() for _ in range(40)])
    counts = np.bincount(drawn, minlength=6)
    assert counts[[1, 2]].sum() == 0
    assert (abs(counts[[0, 3, 4, 5]] - 1000) < 120).all()


def test_a_query_whose_positives_are_the_whole_corpus_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"'0'.* 2 documents"):
        RandomNegatives(_queries([[0, 1]], 2))


def test_candidates_lose_what_is_excluded_and_are_drawn_evenly() -> None:
    source = CandidateNegatives(_queries([[0], [5]], 10), [np.array([0, 1, 2]), np.array([5, 6])], "given", 9)
    generator = np.random.default_rng(0)
    drawn = np.stack([source.draw(np.array([0, 1]), 2, generator) for _ in range(200)])
    assert set(np.unique(drawn[:, 0])) == {1, 2}
    assert set(np.unique(drawn[:, 1])) == {6}
    assert (drawn[:, 0, 0] != drawn[:, 0, 1]).all()


def test_a_query_without_candidates_draws_from_the_corpus(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="ance_ir"):
        source = CandidateNegatives(_queries([[0]], 10), [np.array([0])], "given", 9)
    assert "given: 1 of 1" in caplog.text
    drawn = np.concatenate([source.draw(np.array([0]), 3, np.random.default_rng(seed))[0] for seed in range(50)])
    assert set(drawn) == set(range(1, 10))


def test_the_same_seed_gives_the_same_negatives() -> None:
    source = RandomNegatives(_queries([[3]] * 4, 1000))
    first, second, other = (source.draw(np.arange(4), 5, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert (first == second).all()
    assert (first != other).any()


def test_candidates_from_a_run(dataset: Dataset, queries: TrainingQueries) -> None:
    store = dataset.store()
    run = pd.DataFrame({"qid": ["q0"] * 4 + ["q1"], "docno": ["twin", "d7", "d0", "d9", "d3"], "rank": [0, 1, 2, 3, 0]})
    source = CandidateNegatives.from_run(queries, run, store, depth=1, name="bm25")
    assert store.docnos(source.candidates[0]).tolist() == ["d7"], "the depth counts what is left once positives and their twins are out"
    assert store.docnos(source.candidates[1]).tolist() == ["d3"]
    assert len(source.candidates[2]) == 0


def test_a_run_of_other_queries_or_documents_is_refused(dataset: Dataset, queries: TrainingQueries) -> None:
    with pytest.raises(TrainingError, match="none of the 24 training queries"):
        CandidateNegatives.from_run(queries, pd.DataFrame({"qid": ["x"], "docno": ["d1"], "rank": [0]}), dataset.store(), depth=3, name="r")
    with pytest.raises(TrainingError, match=r"does not hold, e\.g\. 'nope'"):
        CandidateNegatives.from_run(
            queries, pd.DataFrame({"qid": ["q0"], "docno": ["nope"], "rank": [0]}), dataset.store(), depth=3, name="r"
        )


def test_a_run_whose_qids_are_numbers_is_named(dataset: Dataset, queries: TrainingQueries) -> None:
    run = pd.DataFrame({"qid": [1], "docno": ["d0"], "score": [1.0], "rank": [0]})
    with pytest.raises(TrainingError, match=r"the run mine.*qid.*1 \(int"):
        CandidateNegatives.from_run(queries, run, dataset.store(), depth=1, name="mine")


def test_a_depth_of_none_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 document, not 0"):
        CandidateNegatives(_queries([[0]], 10), [np.array([1])], "given", 0)
