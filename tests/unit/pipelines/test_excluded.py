"""Documents that do not count for a query: BRIGHT's rule."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.eval import KeptRuns, evaluate_on_dataset, evaluate_systems, find_suite
from ance_ir.eval.runs.kept import run_key
from ance_ir.pipelines import Excluded, WithoutExcluded, dataset_bm25
from ance_ir.ranking import rank_results

pytest.importorskip("pyterrier_pisa")

TEXTS = {"d1": "red apple", "d2": "red apple pie", "d3": "red apple pie and tart", "d4": "green pear"}
SYSTEMS = ["bm25", "cut=bm25 % 1", "run.first", "run=run.first % 1", "minmax(bm25, bm25) % 1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The query finds d1 and d2 first, which are excluded for it, but not for the other."""
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "riddles"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"docno": docno, "text": text}) + "\n" for docno, text in TEXTS.items()))
    (folder / "queries.tsv").write_text("q1\tred apple\nq2\tred apple\n")
    (folder / "qrels.txt").write_text("q1 0 d1 -100\nq1 0 d2 -100\nq1 0 d3 1\nq2 0 d1 1\n")
    (folder / "run.first.txt").write_text("".join(f"q{q} Q0 d{rank} {rank} {9 - rank} x\n" for q in (1, 2) for rank in (1, 2, 3)))
    return folder


def test_what_is_excluded_takes_no_place(folder: Path, tmp_path: Path) -> None:
    suite = find_suite("bright")
    (tmp_path / "theirs.txt").write_text((folder / "run.first.txt").read_text())
    found = evaluate_on_dataset(
        str(folder), SYSTEMS, suite=suite, measures=["nDCG@10", "RR@10"], num_results=1, run_files={"theirs": tmp_path / "theirs.txt"}
    )
    assert found.table()[["nDCG@10", "RR@10"]].to_numpy().min() == 1.0
    assert found.excluded == 2 and "2 documents" in found.legend()
    assert set(found.qrels["label"]) == {1}
    plain = evaluate_on_dataset(str(folder), ["bm25"], suite=replace(suite, excluded=None), measures=["RR@10"])
    assert plain.per_query["bm25"]["RR@10"].to_dict() == {"q1": pytest.approx(1 / 3), "q2": 1.0}
    assert plain.excluded == 0 and "exclude" not in plain.legend()


def test_a_collection_without_such_labels_is_as_ever(folder: Path) -> None:
    (folder / "qrels.txt").write_text("q1 0 d3 1\nq2 0 d1 1\n")
    found = evaluate_on_dataset(str(folder), ["bm25"], suite=find_suite("bright"))
    assert found.runs["bm25"].equals(
        evaluate_on_dataset(str(folder), ["bm25"], suite=replace(find_suite("bright"), excluded=None)).runs["bm25"]
    )


def test_results_without_them_are_ranked_again() -> None:
    run = pd.DataFrame({"qid": ["1", "1", "1", "2"], "docno": ["a", "b", "c", "a"], "score": [3.0, 2.0, 1.0, 1.0], "rank": [0, 1, 2, 0]})
    out = Excluded(pd.DataFrame({"qid": ["1", "1", "3"], "docno": ["a", "a", "b"]}))
    assert (len(out), out.most, repr(out)) == (2, 1, "Excluded(2 documents of 2 queries)")
    assert out.without(run)[["qid", "docno", "rank"]].to_numpy().tolist() == [["1", "b", 0], ["1", "c", 1], ["2", "a", 0]]
    assert out.without(run, 1)["docno"].tolist() == ["b", "a"]
    none = Excluded(run.head(0))
    assert none.most == 0
    pd.testing.assert_frame_equal(none.without(run), rank_results(run))


def test_from_python_and_kept(folder: Path, tmp_path: Path) -> None:
    dataset = load_dataset(folder)
    qrels = dataset.qrels()
    out = Excluded(qrels[qrels["label"] == -100])
    bm25 = dataset_bm25(dataset).retriever()
    found = WithoutExcluded(bm25, out, 1)(dataset.queries())
    assert found["docno"].tolist() == ["d3", "d1"]
    assert (WithoutExcluded(bm25, out) % 1)(dataset.queries())["docno"].tolist() == ["d3", "d1"]
    judged = qrels[qrels["label"] > 0]
    assert evaluate_systems({"x": bm25}, dataset.queries(), judged, ["P@1"], excluded=out).table()["P@1"].item() == 1.0
    keys = {run_key(WithoutExcluded(bm25, one), dataset.queries()) for one in (out, out, Excluded(out.pairs.head(1)))}
    assert len(keys) == 2 and None not in keys
    kept = KeptRuns(tmp_path / "runs")
    told = {"suite": find_suite("bright"), "kept": kept}
    assert evaluate_on_dataset(dataset, ["bm25"], **told).reused == ()  # type: ignore[arg-type]
    again = evaluate_on_dataset(dataset, ["bm25"], **told)  # type: ignore[arg-type]
    assert again.reused == ("bm25",)
    assert again.runs["bm25"]["docno"].tolist() == ["d3", "d1", "d2", "d3"]
