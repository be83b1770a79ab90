"""Queries that are documents: BEIR's rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ance_ir.datasets import counts_itself, load_dataset
from ance_ir.eval import evaluate_on_dataset, evaluate_systems, find_suite, suite_of
from ance_ir.pipelines import WithoutItself
from ance_ir.pipelines.systems import Systems
from ance_ir.ranking import without_itself
from ance_ir.training import TrainingQueries

TEXTS = {"a1": "red apple", "a2": "red apple pie", "b1": "green pear", "b2": "green pear tart", "c": "a word more"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Queries a1 and b1 are documents, which they find first; a2 and b2 are the answers."""
    folder = tmp_path / "arguana"
    folder.mkdir()
    lines = [json.dumps({"docno": docno, "text": text}) for docno, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    for split in ("", ".train"):
        (folder / f"queries{split}.tsv").write_text("".join(f"{qid}\t{TEXTS[qid]}\n" for qid in ("a1", "b1")))
        (folder / f"qrels{split}.txt").write_text("a1 0 a2 1\nb1 0 b2 1\n")
    (folder / "run.first.txt").write_text("a1 Q0 a1 1 9 x\na1 Q0 a2 2 8 x\nb1 Q0 b1 1 9 x\nb1 Q0 b2 2 8 x\n")
    return folder


SYSTEMS = ["bm25", "cut=bm25 % 1", "run.first", "run=run.first % 1", "minmax(bm25, bm25) % 1"]


def test_a_query_does_not_find_itself(folder: Path) -> None:
    found = evaluate_on_dataset(load_dataset(folder), SYSTEMS, measures=["nDCG@10", "RR@10", "P@1"], num_results=1)
    assert found.table().drop(columns="ms/query").to_numpy().min() == 1.0
    assert "qid" in found.legend()
    assert all((run["docno"] != run["qid"]).all() for run in found.runs.values())
    elsewhere = folder.rename(folder.with_name("mine"))
    found = evaluate_on_dataset(load_dataset(elsewhere), ["bm25"], measures=["nDCG@10"])
    assert found.table()["nDCG@10"].item() == pytest.approx(0.6309, abs=1e-4)
    assert "qid" not in found.legend()
    told: dict[str, Any] = {"suite": find_suite("beir"), "measures": ["nDCG@10"]}
    found = evaluate_on_dataset(load_dataset(elsewhere), ["bm25"], run_files={"file": elsewhere / "run.first.txt"}, **told)
    assert found.table()["nDCG@10"].tolist() == [1.0, 1.0]


def test_a_system_from_python(folder: Path) -> None:
    dataset = load_dataset(folder)
    _, bm25 = Systems(dataset, num_results=1).parse("bm25")
    assert bm25(dataset.queries())["docno"].tolist() == ["a2", "b2"]
    plain = Systems(dataset, counts_itself=True).parse("bm25")[1]
    found = evaluate_systems({"bm25": plain}, dataset.queries(), dataset.qrels(), ["nDCG@10"], counts_itself=False)
    assert found.table()["nDCG@10"].item() == 1.0


def test_a_run_is_ranked_anew() -> None:
    run = pd.DataFrame({"qid": ["1", "1", "2"], "docno": ["1", "2", "1"], "score": [3.0, 2.0, 1.0], "rank": [0, 1, 0]})
    assert without_itself(run)[["docno", "rank"]].to_numpy().tolist() == [["2", 0], ["1", 0]]
    with pytest.raises(ValueError, match="retriever"):
        WithoutItself("bm25")  # type: ignore[arg-type]


def test_its_own_document_is_no_negative(folder: Path) -> None:
    dataset = load_dataset(folder)
    numbers = {docno: number for number, docno in enumerate(TEXTS)}
    queries = TrainingQueries.load(dataset, dataset.store())
    assert [excluded.tolist() for excluded in queries.excluded] == [[numbers["a1"], numbers["a2"]], [numbers["b1"], numbers["b2"]]]
    other = load_dataset(folder.rename(folder.with_name("mine")))
    assert [excluded.tolist() for excluded in TrainingQueries.load(other, other.store()).excluded] == [[numbers["a2"]], [numbers["b2"]]]


def test_which_collections_have_the_rule(folder: Path) -> None:
    assert [counts_itself(name) for name in ("beir/quora/test", "quora", "ArguAna", "msmarco-passage", "vaswani", "nq")] == [False] * 3 + [
        True
    ] * 3
    assert not suite_of(load_dataset(folder)).counts_itself
    assert not suite_of(load_dataset("beir/arguana")).counts_itself
