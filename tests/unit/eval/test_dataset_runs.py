"""Runs that come with a dataset, as first stages."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
import pytest

from ance_ir.datasets import DirectoryDataset, IrDataset
from ance_ir.eval.runs.dataset_runs import dataset_runs
from ance_ir.pipelines.fingerprint import fingerprint
from ance_ir.pipelines.systems import Systems


@pytest.fixture
def dataset(tmp_path: Path) -> DirectoryDataset:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"docno": "d1", "text": "t"}\n', encoding="utf-8")
    (folder / "run.full.txt").write_text("q1 Q0 d1 1 2.5 x\nq1 Q0 d2 2 2.5 x\nq2 Q0 d1 1 9 x\n", encoding="utf-8")
    (folder / "run.full.dev.txt").write_text("q1 Q0 d9 1 2.5 x\n", encoding="utf-8")
    return DirectoryDataset(folder)


def test_a_run_beside_the_collection_is_a_stage(dataset: DirectoryDataset) -> None:
    found = dataset_runs(dataset)
    assert list(found) == ["run.full"]
    _, system = Systems(dataset, pipelines=found).parse("run.full % 1")
    queries = pd.DataFrame({"qid": ["q3", "q1"], "query": ["a", "b"], "topic": [7, 8]})
    results = system(queries)
    assert results.to_dict("list") == {
        "qid": ["q1"],
        "query": ["b"],
        "topic": [8],
        "docno": ["d2"],  # of equal scores the last docno
        "score": [2.5],
        "rank": [0],
    }
    assert dataset_runs(dataset, "dev")["run.full"](queries)["docno"].tolist() == ["d9"]
    assert dataset_runs(dataset, "train") == {}
    assert list(found["run.full"](queries.head(0))) == ["qid", "query", "topic", "docno", "score", "rank"]


def test_fingerprinted_by_content(dataset: DirectoryDataset) -> None:
    one, two, dev = (dataset_runs(dataset, split)["run.full"] for split in ("test", "test", "dev"))
    before = fingerprint(one)
    assert fingerprint(pickle.loads(pickle.dumps(one))) == before  # noqa: S301
    assert before == fingerprint(two) != fingerprint(dev)
    (dataset.folder / "run.full.txt").write_text("q1 Q0 d1 1 2.6 x\n", encoding="utf-8")
    assert fingerprint(dataset_runs(dataset)["run.full"]) != before


def test_the_catalogues_candidates() -> None:
    assert list(dataset_runs(IrDataset("msmarco-passage/trec-dl-2019/judged"))) == ["candidates"]
    assert dataset_runs(IrDataset("vaswani")) == {}
