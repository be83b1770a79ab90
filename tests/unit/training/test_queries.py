"""Positives, and what must never be a negative."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import DatasetNotFoundError, TrainingError
from ance_ir.training import TrainingQueries


def test_judgements_of_zero_are_no_positives(queries: TrainingQueries, dataset: Dataset) -> None:
    store = dataset.store()
    assert [store.docnos(documents).tolist() for documents in queries.positives[:3]] == [["d0"], ["d1"], ["d2"]]
    assert queries.texts[0].startswith("who ")
    assert queries.documents == len(store)


def test_duplicates_of_a_positive_by_text_are_excluded(queries: TrainingQueries, dataset: Dataset) -> None:
    store = dataset.store()
    assert sorted(store.docnos(queries.excluded[0])) == ["d0", "d1", "d2", "twin"]  # the next two queries ask the same
    assert store.docnos(queries.excluded[3]).tolist() == ["d3", "d4", "d5"]


def _write(folder: Path, qrels: str) -> Dataset:
    documents = [{"docno": name, "text": f"text of {name}"} for name in "abc"]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    (folder / "queries.train.tsv").write_text("1\tfirst\n2\tsecond\n")
    (folder / "qrels.train.txt").write_text(qrels)
    return load_dataset(folder)


def test_every_positive_counts_and_queries_without_one_are_left_out(tmp_path: Path) -> None:
    dataset = _write(tmp_path, "1 0 c 1\n1 0 a 2\n1 0 gone 1\n2 0 b 0\n")
    queries = TrainingQueries.load(dataset, dataset.store())
    assert queries.qids == ["1"]
    assert queries.positives[0].tolist() == [0, 2]


def test_queries_that_ask_the_same_exclude_the_positives_of_each_other(tmp_path: Path) -> None:
    dataset = _write(tmp_path, "1 0 c 1\n2 0 b 1\n3 0 a 1\n")
    (tmp_path / "queries.train.tsv").write_text("1\tsame\n2\tother\n3\tsame\n")
    queries = TrainingQueries.load(load_dataset(tmp_path), dataset.store())
    assert [found.tolist() for found in queries.positives] == [[2], [1], [0]]
    assert [found.tolist() for found in queries.excluded] == [[0, 2], [1], [0, 2]]


def test_a_split_without_positives_is_refused(tmp_path: Path) -> None:
    dataset = _write(tmp_path, "1 0 gone 1\n2 0 b 0\n")
    with pytest.raises(TrainingError, match="none of 2 queries has a relevant document"):
        TrainingQueries.load(dataset, dataset.store())


def test_a_split_that_is_not_there_is_named(dataset: Dataset) -> None:
    with pytest.raises(DatasetNotFoundError, match="dev"):
        TrainingQueries.load(dataset, dataset.store(), "dev")


def test_frames_of_a_dataset_of_somebodys_own_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = _write(tmp_path, "1 0 c 1\n2 0 b 1\n")
    queries, qrels = dataset.queries("train"), dataset.qrels("train")
    for name, frame in (("queries", queries.assign(qid=[1, 2])), ("qrels", qrels.assign(qid=[1, 2])), ("qrels", qrels.assign(label=2**31))):
        with monkeypatch.context() as patch, pytest.raises(TrainingError, match=r"int|2147483648"):
            patch.setattr(dataset, name, lambda split, frame=frame: frame)
            TrainingQueries.load(dataset, dataset.store())
