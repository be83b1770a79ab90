"""A small collection to train on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.training import TrainingQueries
from tests.tiny import WORDS

ANIMALS, VERBS = WORDS[21:26], ("runs", "sleeps", "sings", "swims")


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """38 documents; each query asks for one of them, three in a row in the same words; ``twin`` has the text of ``d0``."""
    folder = tmp_path_factory.mktemp("collection")
    colours = ("red", "green", "blue", "small")
    texts = [f"the {colour} {animal} {verb}" for animal, verb, colour in itertools.product(ANIMALS[:3], VERBS, colours[:3])]
    documents = [{"docno": f"d{i}", "text": text} for i, text in enumerate(texts)] + [
        {"docno": "twin", "text": texts[0]},
        {"docno": "other", "text": "a king and a queen"},
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    asked = {"train": range(0, 24), "test": range(24, 30)}
    for split, numbers in asked.items():
        name = "" if split == "test" else f".{split}"
        (folder / f"queries{name}.tsv").write_text("".join(f"q{i}\twho {' '.join(texts[i].split()[2:])}\n" for i in numbers))
        (folder / f"qrels{name}.txt").write_text("".join(f"q{i} 0 d{i} 1\nq{i} 0 other 0\n" for i in numbers))
    return folder


@pytest.fixture(scope="session")
def dataset(collection: Path) -> Dataset:
    return load_dataset(collection)


@pytest.fixture(scope="session")
def queries(dataset: Dataset) -> TrainingQueries:
    return TrainingQueries.load(dataset, dataset.store())
