"""Negatives mined with the model itself: what is mined, how it is drawn, what is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import Dataset, DocumentStore, load_dataset
from ance_ir.errors import FingerprintError, IndexingError, TrainingError, UsageError
from ance_ir.indexes import AnceIndex, FirstP, MaxP
from ance_ir.indexes.mining import AnnMiner, Filters
from ance_ir.models import DenseEncoder
from ance_ir.training import AnnNegatives, MinedNegatives, TrainingQueries
from tests.tiny import cross_encoder, encoder

Mine = Callable[..., MinedNegatives]


@pytest.fixture
def store(dataset: Dataset) -> DocumentStore:
    return dataset.store()


@pytest.fixture
def mine(queries: TrainingQueries, store: DocumentStore, tmp_path: Path) -> Mine:
    def mined(model: DenseEncoder | None = None, step: int = 0, previous: MinedNegatives | None = None, **options: Any) -> MinedNegatives:
        folder = tmp_path / f"step-{step:06d}"
        passages = options.pop("passages", FirstP())
        AnnMiner(queries, store, passages, **{"depth": 5, **options}).mine(model or encoder(), folder, step, previous)
        return MinedNegatives.read(folder)

    return mined


def _scores(model: DenseEncoder, queries: TrainingQueries, store: DocumentStore) -> np.ndarray:
    scores: np.ndarray = model.encode_queries(queries.texts) @ model.encode_passages([document["text"] for document in store]).T
    return scores


def test_candidates_are_the_first_of_the_models_own_ranking(mine: Mine, queries: TrainingQueries, store: DocumentStore) -> None:
    model = encoder()
    mined = mine(model, depth=7)
    scores = _scores(model, queries, store)
    for query, excluded in enumerate(queries.excluded):
        allowed = np.setdiff1d(np.arange(len(store)), excluded)
        found = mined.candidates_QK[query]
        assert np.isin(found, allowed).all()
        assert len(set(found)) == 7
        best = np.sort(scores[query, allowed])[::-1]
        assert scores[query, found] == pytest.approx(best[:7], rel=1e-5)
        assert mined.scores_QK[query] == pytest.approx(best[:7], rel=1e-5)
        place = mined.sample_S.tolist().index(query)
        assert scores[query, mined.top_SN[place][: len(allowed)]] == pytest.approx(best, rel=1e-5)
        assert (mined.top_SN[place][len(allowed) :] == -1).all()


def test_maxp_mines_documents(mine: Mine, queries: TrainingQueries, store: DocumentStore) -> None:
    model = encoder()
    mined = mine(model, depth=6, passages=MaxP(4, 3))
    vectors, counts = model.encode_documents([document["text"] for document in store], MaxP(4, 3))
    assert counts.max() > 1, "documents of several passages are needed to see the difference"
    scores = np.maximum.reduceat(model.encode_queries(queries.texts) @ vectors.T, np.cumsum(counts) - counts, axis=1)
    for query, excluded in enumerate(queries.excluded):
        allowed = np.setdiff1d(np.arange(len(store)), excluded)
        assert len(set(mined.candidates_QK[query])) == 6, "documents, not passages"
        assert scores[query, mined.candidates_QK[query]] == pytest.approx(np.sort(scores[query, allowed])[::-1][:6], rel=1e-5)


def test_uniform_draws_cover_the_candidates(mine: Mine, queries: TrainingQueries) -> None:
    source, mined = AnnNegatives(queries), mine(depth=3)
    source.use(mined)
    generator = np.random.default_rng(0)
    drawn = np.concatenate([source.draw(np.array([2]), 1, generator)[0] for _ in range(300)])
    values, counts = np.unique(drawn, return_counts=True)
    assert set(values) == set(mined.candidates_QK[2])
    assert counts.min() > 70


def test_top_draws_are_the_first_candidates(mine: Mine, queries: TrainingQueries) -> None:
    source, mined = AnnNegatives(queries, draw="top"), mine()
    source.use(mined)
    assert (source.draw(np.array([3, 1]), 2, np.random.default_rng(0)) == mined.candidates_QK[[3, 1], :2]).all()


def test_draws_by_score_follow_the_softmax(mine: Mine, queries: TrainingQueries) -> None:
    mined = mine(depth=4)
    temperature = float(np.ptp(mined.scores_QK[2])) / 2
    source = AnnNegatives(queries, draw="score", temperature=temperature)
    source.use(mined)
    generator = np.random.default_rng(0)
    drawn = np.concatenate([source.draw(np.array([2]), 1, generator)[0] for _ in range(4000)])
    weights = np.exp((mined.scores_QK[2] - mined.scores_QK[2].max()) / temperature)
    shares = [(drawn == candidate).mean() for candidate in mined.candidates_QK[2]]
    assert shares == pytest.approx(weights / weights.sum(), abs=0.03)
    assert len(set(source.draw(np.array([2]), 4, generator)[0])) == 4
    assert source.settings == {"draw": "score", "temperature": temperature}


def test_equal_seeds_draw_equal_negatives(mine: Mine, queries: TrainingQueries) -> None:
    for draw in ("uniform", "top", "score"):
        one, other = AnnNegatives(queries, draw=draw), AnnNegatives(queries, draw=draw)
        for source in (one, other):
            source.use(mine())
        drawn = [source.draw(np.arange(24), 2, np.random.default_rng(7)) for source in (one, other)]
        assert (drawn[0] == drawn[1]).all()


def test_a_depth_beyond_the_corpus_takes_what_there_is(mine: Mine, queries: TrainingQueries) -> None:
    source = AnnNegatives(queries)
    source.use(mine(depth=500))
    drawn = source.draw(np.array([0]), 38 - len(queries.excluded[0]), np.random.default_rng(0))[0]
    assert set(drawn) == set(range(38)) - set(queries.excluded[0])


def test_a_rank_window_leaves_the_first_out(mine: Mine) -> None:
    whole, window = mine(depth=9), mine(step=1, depth=4, filters=Filters(skip=5))
    assert (window.candidates_QK == whole.candidates_QK[:, 5:9]).all()


@pytest.mark.parametrize("margin", [0.0, 0.2, -0.2])
def test_a_margin_to_the_positives_score(mine: Mine, queries: TrainingQueries, store: DocumentStore, margin: float) -> None:
    model = encoder(normalize=True)
    scores = _scores(model, queries, store)
    whole, filtered = mine(model, depth=30), mine(model, step=1, depth=30, filters=Filters(margin=margin))
    dropped = 0
    for query, positives in enumerate(queries.positives):
        best = scores[query, positives].max()
        expected = [n for n in whole.candidates_QK[query] if n >= 0 and scores[query, n] <= best - margin]
        found = [n for n in filtered.candidates_QK[query] if n >= 0]
        assert found == expected
        dropped += 30 - len(expected)
    assert dropped > 0


@pytest.mark.parametrize(("share", "shift"), [(0.05, 0.0), (0.3, 0.0), (0.05, -2.0), (-0.1, 0.0)])
def test_a_relative_margin_is_below_the_positive_whatever_its_sign(
    queries: TrainingQueries, store: DocumentStore, share: float, shift: float
) -> None:
    rng = np.random.default_rng(0)
    asked, found = np.arange(24), np.tile(np.arange(5), (24, 1))
    scores, best = (rng.uniform(0, 1, shape).astype(np.float32) + np.float32(shift) for shape in ((24, 5), (24,)))
    safe, taken = Filters(relative_margin=share).safe(queries, store, asked, found, scores, best)
    expected = np.array(
        [[float(score) <= float(top) - share * abs(float(top)) for score in row] for row, top in zip(scores, best, strict=True)]
    )
    assert (safe == expected).all()
    assert 0 < taken["relative_margin"] == (~expected).sum() < expected.size
    if share > 0:
        assert (scores < best[:, None])[safe].all()


def test_a_filter_counts_what_those_before_it_left(queries: TrainingQueries, store: DocumentStore) -> None:
    found = np.array([[0, 1, 2, 3, -1], [0, 1, 2, 3, 4]])
    scores = np.array([[9.0, 8.0, 7.0, 6.0, -np.inf], [9.0, 8.0, 7.0, 6.0, 5.0]], dtype=np.float32)
    best = np.array([8.5, np.nan], dtype=np.float32)
    filters = Filters(max_score=8.75, margin=1.0, relative_margin=0.25)
    safe, taken = filters.safe(queries, store, np.array([0, 1]), found, scores, best)
    assert safe.tolist() == [[False, False, False, True, False], [False, True, True, True, True]], "no margin without a positive's score"
    assert taken == {"max_score": 2, "margin": 1, "relative_margin": 1, "teacher": 0}


def test_filters_of_training_are_those_of_the_settings(mine: Mine, queries: TrainingQueries, store: DocumentStore) -> None:
    model = encoder(normalize=True)
    scores = _scores(model, queries, store)
    whole = mine(model, depth=30)
    ceiling = float(np.median(whole.scores_QK[whole.candidates_QK >= 0]))
    filtered = mine(model, step=1, depth=30, filters=Filters(max_score=ceiling, relative_margin=0.1))
    for query, positives in enumerate(queries.positives):
        best = scores[query, positives].max()
        expected = [n for n in whole.candidates_QK[query] if n >= 0 and scores[query, n] <= min(best - 0.1 * abs(best), ceiling)]
        assert [n for n in filtered.candidates_QK[query] if n >= 0] == expected
    assert Filters().settings == {"skip": 0, "margin": None, "teacher": None, "teacher_margin": 0.0}, "runs from before them are resumed"
    assert Filters(max_score=2.0, relative_margin=0.1).settings.items() >= {"max_score": 2.0, "relative_margin": 0.1}.items()


def test_a_teacher_leaves_out_what_it_finds_relevant(mine: Mine, queries: TrainingQueries, store: DocumentStore) -> None:
    teacher = cross_encoder()
    whole, filtered = mine(depth=8), mine(step=1, depth=8, filters=Filters(teacher=teacher, teacher_margin=0.1))
    kept = 0
    for query, positives in enumerate(queries.positives):

        def judged(numbers: np.ndarray, query: int = query) -> np.ndarray:
            return teacher.log_odds([queries.texts[query]] * len(numbers), [store[int(n)]["text"] for n in numbers])

        candidates = whole.candidates_QK[query]
        expected = candidates[judged(candidates) <= judged(positives).max() - 0.1]
        found = filtered.candidates_QK[query]
        assert found[found >= 0].tolist() == expected.tolist()
        kept += len(expected)
    assert 0 < kept < whole.candidates_QK.size
    assert Filters(teacher=teacher).settings["teacher"]["fingerprint"] == teacher.fingerprint()


def test_a_query_whose_candidates_are_all_unsafe_draws_from_the_corpus(mine: Mine, queries: TrainingQueries) -> None:
    mined = mine(encoder(normalize=True), filters=Filters(margin=5.0))
    assert (mined.candidates_QK == -1).all()
    assert mined.report["queries_without_candidates"] == len(queries)
    assert mined.report["mean_negative_score"] is None
    source = AnnNegatives(queries)
    source.use(mined)
    drawn = source.draw(np.arange(24), 4, np.random.default_rng(0))
    assert not any(np.isin(row, excluded).any() for row, excluded in zip(drawn, queries.excluded, strict=True))


def test_a_rotation_mines_for_a_part_of_the_queries_at_a_time(mine: Mine) -> None:
    first = mine(depth=4, rotation=3)
    renewed = []
    before = first
    for step in (1, 2, 3):
        model = encoder(seed=step)
        now, whole = mine(model, step, before, depth=4, rotation=3), mine(model, step + 10, depth=4)
        same = [query for query in range(24) if (now.candidates_QK[query] == whole.candidates_QK[query]).all()]
        kept = [query for query in range(24) if (now.candidates_QK[query] == before.candidates_QK[query]).all()]
        renewed.append({query for query in range(24) if query % 3 == step % 3})
        assert renewed[-1] <= set(same)
        assert set(range(24)) - renewed[-1] <= set(kept)
        assert now.report["refresh"] == step
        before = now
    assert set.union(*renewed) == set(range(24))


def test_what_is_reported(mine: Mine, queries: TrainingQueries, store: DocumentStore) -> None:
    seen = []

    def evaluate(index: AnceIndex, model: DenseEncoder) -> dict[str, float]:
        index.check_model(model)
        seen.append(len(index))
        return {"RR@10": 0.5}

    model = encoder()
    first = mine(model, evaluate=evaluate)
    assert seen == [38]
    assert first.report["dev"] == {"RR@10": 0.5}
    assert first.report["documents_encoded"] == 38
    assert "overlap_with_previous" not in first.report
    scores = _scores(model, queries, store)
    best = np.array([scores[query, positives].max() for query, positives in enumerate(queries.positives)])
    of_candidates = np.take_along_axis(scores, first.candidates_QK.astype(int), axis=1)
    assert first.report["mean_negative_score"] == pytest.approx(of_candidates.mean(), rel=1e-5)
    assert first.report["suspected_false_negatives"] == pytest.approx((of_candidates >= best[:, None]).mean(), abs=1e-4)
    assert mine(model, 4, first).report["overlap_with_previous"] == 1.0
    third = mine(encoder(seed=3), 8, first)
    shared = [np.isin(new, old).mean() for old, new in zip(first.candidates_QK, third.candidates_QK, strict=True)]
    assert third.report["overlap_with_previous"] == pytest.approx(np.mean(shared), abs=1e-4)
    assert 0 < third.report["overlap_with_previous"] < 1


def test_a_refresh_that_was_done_is_not_repeated(mine: Mine) -> None:
    first = mine()
    assert (mine(encoder(seed=9)).candidates_QK == first.candidates_QK).all(), "another model: mining again would find others"


def test_an_index_that_is_there_is_used_if_the_model_made_it(mine: Mine, tmp_path: Path) -> None:
    mine()
    folder = tmp_path / "step-000000"
    shard = folder / "index.ance" / "vectors-00000.npy"
    written = shard.stat().st_mtime_ns
    for model, used in ((encoder(), True), (encoder(seed=1), False)):
        (folder / "report.json").unlink()
        mine(model)
        assert (shard.stat().st_mtime_ns == written) == used


@pytest.mark.parametrize("keep", [True, False])
def test_earlier_indexes_are_removed_unless_they_are_wanted(mine: Mine, tmp_path: Path, keep: bool) -> None:
    for step in (0, 4):
        mine(encoder(seed=step), step, keep_indexes=keep)
    left = sorted(path.parent.name for path in tmp_path.glob("*/index.ance"))
    assert left == (["step-000000", "step-000004"] if keep else ["step-000004"])
    assert MinedNegatives.read(tmp_path / "step-000000").mined_at == 0


def test_only_new_and_changed_documents_are_encoded_again(
    mine: Mine, collection: Path, queries: TrainingQueries, store: DocumentStore, tmp_path: Path
) -> None:
    model = encoder()
    mine(model, passages=MaxP(4, 3))
    grown = tmp_path / "grown"
    shutil.copytree(collection, grown)
    lines = [json.loads(line) for line in (grown / "corpus.jsonl").read_text().splitlines()]
    lines[5]["text"] = "the queen runs and the king sleeps"
    lines = [{"docno": "new", "text": "a small fox"}, *lines[:3], *lines[4:]]
    (grown / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    larger = load_dataset(grown).store()
    reuse = AnceIndex(tmp_path / "step-000000" / "index.ance")
    asked = TrainingQueries.load(load_dataset(grown), larger)
    folder = tmp_path / "again" / "step-000000"
    AnnMiner(asked, larger, MaxP(4, 3), depth=5, reuse=reuse).mine(model, folder, 0, None)
    index = AnceIndex(folder / "index.ance")
    assert MinedNegatives.read(folder).report["documents_encoded"] == 2
    fresh = (MaxP(4, 3) >> model.passages() >> AnceIndex(tmp_path / "fresh.ance")).index(iter(larger))
    numbers = np.arange(len(larger))
    for mine_, theirs in zip(index.table.rows(numbers), fresh.table.rows(numbers), strict=True):
        assert (mine_ == theirs).all()
    rows = np.arange(len(fresh.vectors))
    assert index.vectors.get(rows) == pytest.approx(fresh.vectors.get(rows), abs=1e-5)
    with pytest.raises(FingerprintError, match=r"maxp:4,3.*firstp"):
        AnnMiner(asked, larger, FirstP(), depth=5, reuse=reuse).mine(model, tmp_path / "other", 0, None)
    with pytest.raises(IndexingError, match="hashes"):
        AnnMiner(asked, larger, MaxP(4, 3), depth=5, reuse=fresh).mine(model, tmp_path / "other", 0, None)
    trained = encoder(seed=5)
    AnnMiner(asked, larger, MaxP(4, 3), depth=5, reuse=reuse).mine(trained, tmp_path / "trained", 0, None)
    assert MinedNegatives.read(tmp_path / "trained").report["documents_encoded"] == len(larger)


def test_damaged_files_are_named(mine: Mine, queries: TrainingQueries, tmp_path: Path) -> None:
    mine()
    path = tmp_path / "step-000000" / "candidates.npy"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"candidates\.npy"):
        MinedNegatives.read(tmp_path / "step-000000")


def test_what_cannot_be_meant(mine: Mine, queries: TrainingQueries, store: DocumentStore) -> None:
    assert repr(AnnMiner(queries, store, FirstP())) == "AnnMiner(24 queries)"
    assert repr(AnnMiner(queries, store, FirstP(), depth=9, filters=Filters(skip=2))) == "AnnMiner(24 queries, depth=9, skip=2)"
    with pytest.raises(UsageError, match="at least 1 document, not 0"):
        AnnMiner(queries, store, FirstP(), depth=0)
    with pytest.raises(UsageError, match=r"24.*25"):
        AnnMiner(queries, store, FirstP(), rotation=25)
    with pytest.raises(UsageError, match=r"skip .*-1"):
        Filters(skip=-1)
    for name in ("max_score", "margin", "relative_margin", "teacher_margin"):
        with pytest.raises(UsageError, match=f"{name} .* nan"):
            Filters(**{name: float("nan")})
    with pytest.raises(UsageError, match="needs a teacher"):
        Filters(teacher_margin=1.0)
    with pytest.raises(UsageError, match=r"'best'.*uniform, top, score"):
        AnnNegatives(queries, draw="best")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="before the first refresh"):
        AnnNegatives(queries).draw(np.array([0]), 1, np.random.default_rng(0))
    fewer = TrainingQueries(qids=["q"], texts=["who"], positives=queries.positives[:1], excluded=queries.excluded[:1], documents=38)
    with pytest.raises(TrainingError, match="negatives of 24 queries were mined; there are 1"):
        AnnNegatives(fewer).use(mine())
