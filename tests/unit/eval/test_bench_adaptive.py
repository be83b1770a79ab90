"""The benchmarks of adaptive retrieval at a small size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.eval.bench import bench_adaptive, bench_corpus_graph
from tests.command import Run
from tests.tiny import WORDS, encoder

pytest.importorskip("pyterrier_adaptive", reason="pyterrier-adaptive is not installed: pip install 'ance_ir[adaptive]'")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bench") / "model"
    encoder(normalize=True).save(folder)
    return str(folder)


def test_the_table_of_a_collection(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyterrier_pisa", reason="PISA is not installed")
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    rng, lines = np.random.default_rng(0), []
    for number in range(100):
        lines.append(json.dumps({"docno": f"d{number}", "text": " ".join(rng.choice(WORDS, 8))}) + "\n")
    (tmp_path / "corpus.jsonl").write_text("".join(lines))
    (tmp_path / "queries.dev.tsv").write_text("".join(f"q{number}\t{' '.join(rng.choice(WORDS, 3))}\n" for number in range(4)))
    (tmp_path / "qrels.dev.txt").write_text("".join(f"q{number} 0 d{number} 1\n" for number in range(4)))
    found = bench_adaptive(load_dataset(tmp_path), model, depths=(5, 10), neighbours=3, length=16, rounds=1)
    assert found["bm25 %"].tolist() == ["", *["5"] * 5, *["10"] * 5]
    table = found.set_index(["bm25 %", "system"])
    assert table.loc[("", "dense alone"), "scored"] == 100
    for depth in ("5", "10"):
        scored = table.loc[depth, "scored"]
        assert scored["rerank"] <= scored["ladr"] <= scored["adaptive-ladr:50"] <= 100
        assert scored["rerank"] == pytest.approx(float(depth), abs=1)
        assert scored[f"gar:{depth},16"] <= float(depth)
    measures = [column for column in found if column not in ("bm25 %", "system", "scored", "ms, 1 query")]
    assert measures
    assert found[measures].apply(lambda column: column.between(0, 1)).all(axis=None)
    assert (found["ms, 1 query"] > 0).all()


def test_the_table_of_many_vectors(model: str, run: Run) -> None:
    status, out, err = run(
        *("bench", "graph", "--model", model, "--vectors", 2000, "--queries", 4, "--neighbours", 4, "--backend", "ivf8,nprobe=8"),
        *("--rounds", 1, "--format", "json"),
    )
    assert status == 0, err
    rows = {row["part"]: row for row in json.loads(out)}
    assert rows["graph, ivf8,nprobe=8"]["seconds"] > 0
    assert rows["exact"]["recall@10"] == 1
    assert 0 < rows["rerank"]["recall@10"] < rows["adaptive-ladr:50"]["recall@10"] <= 1
    assert 90 < rows["rerank"]["scored"] <= 100 < rows["ladr"]["scored"] < rows["exact"]["scored"] == 2000


def test_the_table_is_the_same_again(model: str) -> None:
    one, other = (
        bench_corpus_graph(model, vectors=1000, queries=2, neighbours=4, rounds=1).drop(columns=["seconds", "MiB", "ms, 1 query"])
        for _ in range(2)
    )
    assert one.equals(other)
