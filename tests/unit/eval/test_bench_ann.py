"""The benchmark of approximate search at a small size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ance_ir.eval.bench.ann as ann
from ance_ir.datasets import load_dataset
from ance_ir.errors import UsageError
from ance_ir.eval.bench import bench_ann
from ance_ir.eval.bench.ann_contenders import CONTENDERS
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter
from tests.tiny import WORDS, encoder

ROWS, DIMENSION, K = 2000, 16, 10


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> VectorStore:
    folder = tmp_path_factory.mktemp("store")
    writer = VectorWriter(folder)
    vectors = np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float32)
    writer.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return VectorStore(folder, writer.finish())


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_finds_more_with_more_effort(name: str, store: VectorStore, tmp_path: Path) -> None:
    if name not in ann.installed():
        pytest.skip(f"{name} is not installed")
    vectors = store.get(np.arange(ROWS))
    queries = vectors[:40] + 0.2 * np.random.default_rng(1).normal(size=(40, DIMENSION)).astype(np.float32)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
    search, size = CONTENDERS[name].build(store, tmp_path)
    few, many = (ann._recall(search(queries, K, effort), exact) for effort in (1 if "nprobe" in CONTENDERS[name].effort else K, 1000))
    assert few <= many
    assert many > (0.95 if name.startswith("faiss") and "SQ8" in name else 0.99)  # codes alone; ours are re-scored
    assert search(queries[:1], K, 1000).shape == (1, K)
    assert (size > 0) == name.startswith("ance_ir")


@pytest.mark.parametrize("needed", [10, 11, 19, 20, 21, 300, 777])
def test_the_least_effort_that_is_enough(needed: int) -> None:
    tried: list[int] = []

    def share(effort: int) -> float:
        tried.append(effort)
        return 0.95 if effort >= needed else 0.9

    effort, reached = ann._least_effort(share, 0.95, 10, 1000)
    assert reached == 0.95
    assert needed <= effort <= 1.1 * needed
    assert len(tried) < 13


def test_an_effort_that_is_never_enough() -> None:
    assert ann._least_effort(lambda effort: 0.5, 0.95, 10, 1000) == (1000, 0.5)


class Inline:
    """A process that is this one."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        return type("Done", (), {"result": lambda self: result})()


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    encoder(normalize=True).save(tmp_path / "model")
    texts = [" ".join(rng.choice(WORDS, 6)) for _ in range(200)]
    (tmp_path / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"docno": f"d{number}", "text": text}) for number, text in enumerate(texts))
    )
    (tmp_path / "queries.dev.tsv").write_text("".join(f"q{number}\t{' '.join(rng.choice(WORDS, 3))}\n" for number in range(9)))
    return tmp_path


@pytest.mark.parametrize("recall", [0.9, 1.0])
def test_the_table(recall: float, collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ann, "ProcessPoolExecutor", Inline)
    dataset = load_dataset(collection)
    options: Any = {"documents": 150, "queries": 5, "k": 10, "length": 16, "rounds": 2}
    found = bench_ann(dataset, str(collection / "model"), recall=recall, contenders=["faiss IVF,Flat"], **options)
    assert found.loc[0, "recall@10"] >= recall
    assert found.loc[0, "effort"].startswith("nprobe=")
    assert found.loc[0, "÷ best"] == 1
    assert (found[["build s", "ms, 1 query", "queries/s"]] > 0).all(axis=None)
    with pytest.raises(UsageError, match="annoy"):
        bench_ann(dataset, str(collection / "model"), contenders=["annoy"])


def test_what_does_not_find_enough_has_no_times() -> None:
    rows = [{"contender": "a", "recall@10": 0.96}, {"contender": "b", "recall@10": 0.5}, {"contender": "c", "recall@10": 0.97}]
    table = ann._table(rows, {"a": [(0.002, 1.0), (0.004, 5.0), (0.003, 2.0)], "c": [(0.001, 4.0)]}, 20).set_index("contender")
    assert table.loc["a", ["ms, 1 query", "queries/s", "÷ best"]].tolist() == [3.0, 10.0, 1.0]
    assert table.loc["b", ["ms, 1 query", "queries/s", "÷ best"]].isna().all()
    assert table.loc["c", ["ms, 1 query", "queries/s", "÷ best"]].tolist() == [1.0, 5.0, 0.5]


@pytest.mark.slow
def test_in_processes_of_their_own(collection: Path) -> None:
    found = bench_ann(
        load_dataset(collection),
        str(collection / "model"),
        documents=200,
        queries=5,
        k=10,
        length=16,
        contenders=["ance_ir hnsw", "faiss HNSW32,Flat"],
        rounds=1,
    )
    assert found["contender"].tolist() == ["ance_ir hnsw", "faiss HNSW32,Flat"]
    assert (found[["MiB", "queries/s"]] > 0).all(axis=None)
