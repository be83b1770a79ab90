"""The benchmarks at a small size: every contender runs, and the figures fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ance_ir.datasets import load_dataset
from ance_ir.eval.bench import alternate, bench_encode, bench_search
from tests.tiny import encoder


def test_contenders_run_in_turn_and_the_first_round_does_not_count() -> None:
    ran: list[str] = []
    medians = alternate({name: lambda name=name: ran.append(name) for name in "ab"}, 2)  # type: ignore[misc]
    assert "".join(ran) == "ababab"
    assert medians.keys() == {"a", "b"}


def test_search() -> None:
    found = bench_search(vectors=1500, dimensions=(8,), queries=(1, 3), depths=(10,), rounds=1)
    assert found[["dimension", "queries", "k"]].to_numpy().tolist() == [[8, 1, 10], [8, 3, 10]]
    best = found[["faiss", "torch", "numpy"]].min(axis=1)
    assert (found["ours ÷ best"] - found["ance_ir"] / best).abs().max() < 1e-9


def test_encode(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    encoder(normalize=True).save(tmp_path / "model")
    lines = [json.dumps({"docno": str(number), "text": "the cat sleeps " * (number % 5 + 1)}) for number in range(50)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    found = bench_encode(load_dataset(tmp_path), str(tmp_path / "model"), documents=40, length=32, rounds=1, device="cpu")
    assert found["texts"].item() == 40
    assert found[["ance_ir", "sentence-transformers", "plain loop"]].min(axis=None) > 0
