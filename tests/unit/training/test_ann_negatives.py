"""Negatives mined with the model itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ance_ir.datasets import Dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.indexes import AnceIndex, AnnNegatives, FirstP
from ance_ir.models import DenseEncoder
from ance_ir.training import TrainingQueries
from tests.tiny import encoder


def test_candidates_are_the_first_of_the_models_own_ranking(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    model, store = encoder(), dataset.store()
    source = AnnNegatives(queries, store, FirstP(), depth=7)
    source.refresh(model, tmp_path / "step-000000", 0)
    candidates = np.load(tmp_path / "step-000000" / "candidates.npy")
    scores = model.encode_queries(queries.texts) @ model.encode_passages([document["text"] for document in store]).T
    for query, excluded in enumerate(queries.excluded):
        allowed = np.setdiff1d(np.arange(len(store)), excluded)
        assert np.isin(candidates[query], allowed).all()
        assert len(set(candidates[query])) == 7
        best = np.sort(scores[query, allowed])[::-1][:7]
        assert scores[query, candidates[query]] == pytest.approx(best, rel=1e-5)


def test_draws_cover_the_candidates(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    source = AnnNegatives(queries, dataset.store(), FirstP(), depth=3)
    source.refresh(encoder(), tmp_path / "step-000000", 0)
    candidates = np.load(tmp_path / "step-000000" / "candidates.npy")
    generator = np.random.default_rng(0)
    drawn = np.concatenate([source.draw(np.array([2]), 1, generator)[0] for _ in range(100)])
    assert set(drawn) == set(candidates[2])


def test_a_depth_beyond_the_corpus_takes_what_there_is(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    source = AnnNegatives(queries, dataset.store(), FirstP(), depth=500)
    source.refresh(encoder(), tmp_path / "step-000000", 0)
    drawn = source.draw(np.array([0]), 36, np.random.default_rng(0))[0]
    assert set(drawn) == set(range(38)) - set(queries.excluded[0])


def test_a_refresh_reports_and_evaluates_the_vectors_it_made(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    seen = []

    def evaluate(index: AnceIndex, model: DenseEncoder) -> dict[str, float]:
        index.check_model(model)
        seen.append(len(index))
        return {"dev RR@10": 0.5}

    source = AnnNegatives(queries, dataset.store(), FirstP(), depth=5, evaluate=evaluate)
    first = source.refresh(encoder(), tmp_path / "step-000000", 0)
    assert seen == [38]
    assert first["dev RR@10"] == 0.5
    assert "overlap_with_previous" not in first
    second = source.refresh(encoder(), tmp_path / "step-000004", 4)
    assert second["overlap_with_previous"] == 1.0
    third = source.refresh(encoder(seed=3), tmp_path / "step-000008", 8)
    assert 0 <= third["overlap_with_previous"] < 1.0


def test_a_refresh_that_was_done_is_read_not_repeated(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    source = AnnNegatives(queries, dataset.store(), FirstP(), depth=5)
    source.refresh(encoder(), tmp_path / "step-000000", 0)
    again = AnnNegatives(queries, dataset.store(), FirstP(), depth=5)
    again.refresh(encoder(seed=9), tmp_path / "step-000000", 0)  # another model: mining again would find others
    for seed in range(5):
        one, other = (s.draw(np.arange(24), 2, np.random.default_rng(seed)) for s in (source, again))
        assert (one == other).all()


def test_an_index_that_is_there_is_used_if_the_model_made_it(dataset: Dataset, queries: TrainingQueries, tmp_path: Path) -> None:
    source = AnnNegatives(queries, dataset.store(), FirstP(), depth=5)
    folder = tmp_path / "step-000000"
    source.refresh(encoder(), folder, 0)
    shard = folder / "index.ance" / "vectors-00000.npy"
    written = shard.stat().st_mtime_ns
    (folder / "report.json").unlink()
    source.refresh(encoder(), folder, 0)
    assert shard.stat().st_mtime_ns == written
    (folder / "report.json").unlink()
    source.refresh(encoder(seed=1), folder, 0)
    assert shard.stat().st_mtime_ns != written


@pytest.mark.parametrize("keep", [True, False])
def test_earlier_indexes_are_removed_unless_they_are_wanted(dataset: Dataset, queries: TrainingQueries, tmp_path: Path, keep: bool) -> None:
    source = AnnNegatives(queries, dataset.store(), FirstP(), depth=5, keep_indexes=keep)
    for step in (0, 4):
        source.refresh(encoder(seed=step), tmp_path / f"step-{step:06d}", step)
    left = sorted(path.parent.name for path in tmp_path.glob("*/index.ance"))
    assert left == (["step-000000", "step-000004"] if keep else ["step-000004"])
    assert (tmp_path / "step-000000" / "candidates.npy").exists()


def test_what_cannot_be_meant(dataset: Dataset, queries: TrainingQueries) -> None:
    with pytest.raises(UsageError, match="at least 1 document, not 0"):
        AnnNegatives(queries, dataset.store(), FirstP(), depth=0)
    with pytest.raises(TrainingError, match="before the first refresh"):
        AnnNegatives(queries, dataset.store(), FirstP()).draw(np.array([0]), 1, np.random.default_rng(0))
