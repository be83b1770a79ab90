"""How a refresh searches: exactly or approximately, and how deep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.errors import UsageError
from ance_ir.indexes import AnceIndex, FirstP
from ance_ir.indexes.mining import AnnMiner, Filters, allowed
from ance_ir.indexes.mining.allowed import DenseRanker
from ance_ir.training import MinedNegatives, TrainingQueries, TrainingSettings
from ance_ir.training.run.metrics import read_metrics
from ance_ir.workflows import Mining, train_on_dataset
from tests.tiny import encoder


@pytest.fixture
def store(dataset: Dataset) -> DocumentStore:
    return dataset.store()


def mine(
    queries: TrainingQueries, store: DocumentStore, folder: Path, previous: MinedNegatives | None = None, **options: Any
) -> MinedNegatives:
    AnnMiner(queries, store, FirstP(), **{"depth": 5, **options}).mine(encoder(), folder, 0, None)
    return MinedNegatives.read(folder)


@pytest.mark.parametrize("backend", ["ivf6,nprobe=1", "hnsw+sq8", "sq8,rescore=0"])
def test_what_approximate_search_misses_is_reported(queries: TrainingQueries, store: DocumentStore, tmp_path: Path, backend: str) -> None:
    options: dict[str, Any] = {"depth": 7, "filters": Filters(skip=2)}
    exact = mine(queries, store, tmp_path / "exact", **options)
    found = mine(queries, store, tmp_path / "found", backend=backend, **options)
    for query, excluded in enumerate(queries.excluded):
        candidates = found.candidates_QK[query][found.candidates_QK[query] >= 0]
        assert len(set(candidates.tolist())) == len(candidates)
        assert not np.isin(candidates, excluded).any()
    shares = [np.isin(best, others).mean() for best, others in zip(exact.candidates_QK, found.candidates_QK, strict=True)]
    assert found.report["recall_of_exact"] == pytest.approx(np.mean(shares), abs=1e-4)
    assert (found.report["recall_of_exact"] < 0.8) == ("nprobe=1" in backend), "one of six lists holds a part of the documents"
    assert found.report["build_seconds"] >= 0
    assert (found.top_SN == exact.top_SN).all(), "the ranking that figure 7 asks about is that of the model"
    assert not {"build_seconds", "recall_of_exact"} & exact.report.keys()


def test_a_run_says_how_it_searches(dataset: Dataset, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=4, batch_size=4, refresh_every=2)
    train_on_dataset(dataset, encoder(), tmp_path / "run", settings, depth=5, mining=Mining(backend="ivf6,nprobe=1"))
    manifest = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert manifest["refresh"]["backend"] == "ivf6,nprobe=1"
    assert Mining.of_run(manifest, None).backend == "ivf6,nprobe=1", "inferencers search in the same way"
    reports = [line["refresh"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "refresh" in line]
    assert [0 < report["recall_of_exact"] < 1 for report in reports] == [True, True]
    assert "recall_of_exact" in (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8").replace(" ", "_")
    del manifest["refresh"]["backend"]
    assert Mining.of_run(manifest, None).backend == "exact", "runs of versions that had no other"


@pytest.mark.parametrize(("backend", "said"), [("tuned", "tuned"), ("hnsw+gzip", "gzip")])
def test_backends_that_no_refresh_can_search(queries: TrainingQueries, store: DocumentStore, backend: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        AnnMiner(queries, store, FirstP(), backend=backend)


def test_only_queries_that_exclude_many_documents_are_searched_deep(
    queries: TrainingQueries, store: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = encoder()
    index = AnceIndex(tmp_path / "x.ance")
    (model.passages() >> index).index(iter(store))
    excluded = [np.union1d(own, np.arange(24) if query == 7 else np.arange(query % 3)) for query, own in enumerate(queries.excluded)]
    queries = TrainingQueries(qids=queries.qids, texts=queries.texts, positives=queries.positives, excluded=excluded, documents=len(store))
    searched: list[tuple[int, int]] = []
    search = index.search_vectors

    def seen(vectors: np.ndarray, k: int, *others: Any) -> Any:
        searched.append((len(vectors), k))
        return search(vectors, k, *others)

    monkeypatch.setattr(index, "search_vectors", seen)
    found = list(DenseRanker(index, model, queries).allowed(np.arange(24), 5))
    least = min(map(len, excluded))
    assert searched[-1] == (1, 5 + len(excluded[7]))
    assert sum(count for count, _ in searched) == 24
    assert all(depth <= 2 * (5 + least) for _, depth in searched[:-1])
    assert len(searched) == 2, "the others are searched together"
    rankings = {int(query): row for ranked in found for query, row in zip(ranked.queries, ranked.found_BF, strict=True)}
    scores = model.encode_queries(queries.texts) @ model.encode_passages([document["text"] for document in store]).T
    for query in range(24):
        assert not np.isin(rankings[query], excluded[query]).any()
        left = np.setdiff1d(np.arange(len(store)), excluded[query])
        assert scores[query, rankings[query][:5]] == pytest.approx(np.sort(scores[query, left])[::-1][:5], rel=1e-5)
    searched.clear()
    monkeypatch.setattr(allowed, "_RESULTS", 4 * (5 + 4))
    list(DenseRanker(index, model, queries).allowed(np.arange(24), 5))
    assert len(searched) > 5, "as many queries as there is place for their results"
    assert all(count * depth <= 4 * (5 + 4) or count == 1 for count, depth in searched)
