from __future__ import annotations

from pathlib import Path

import pytest

from ance_ir.datasets import load_dataset

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("name", "documents", "queries"),
    [("vaswani", 11_429, {"test": 93}), ("nfcorpus", 3_633, {"test": 323, "dev": 324, "train": 2_590})],
)
def test_counts_are_those_of_the_collection(name: str, documents: int, queries: dict[str, int], data_dir: Path) -> None:
    dataset = load_dataset(data_dir / name)
    assert dataset.splits == tuple(queries)
    assert {split: len(dataset.queries(split)) for split in dataset.splits} == queries
    assert sum(1 for _ in dataset.documents()) == documents
    store = dataset.store()
    assert len(store) == len(store.text_hashes) == documents
    for split in dataset.splits:
        qrels = dataset.qrels(split)
        assert set(qrels["qid"]) <= set(dataset.queries(split)["qid"])
        assert (store.numbers(qrels["docno"].unique()) >= 0).all()


def test_nfcorpus_training_judgements(data_dir: Path) -> None:
    assert len(load_dataset(data_dir / "nfcorpus").qrels("train")) == 110_575
