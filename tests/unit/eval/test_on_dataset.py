"""From a dataset and texts of systems to an evaluation, as the dataset's suite says."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ance_ir.datasets import DirectoryDataset, IrDataset, QuestionFile
from ance_ir.errors import DatasetNotFoundError, EvaluationError, UsageError
from ance_ir.eval import diagnose_on_dataset, evaluate_on_dataset, evaluate_systems, find_suite
from ance_ir.eval.suites import SUITES, suite_of
from ance_ir.pipelines import dataset_bm25

pytest.importorskip("pyterrier_pisa")

TEXTS = {"d1": "the cat sleeps", "d2": "a king and a queen", "d3": "the red moon", "d4": "a cat and the moon"}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryDataset:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = [json.dumps({"docno": docno, "text": text}) for docno, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "queries.tsv").write_text("q1\tcat\nq2\tmoon\nq3\tking\n", encoding="utf-8")
    (folder / "qrels.txt").write_text("q1 0 d1 2\nq1 0 d4 1\nq2 0 d3 2\n", encoding="utf-8")
    answers = [{"qid": "q1", "question": "cat", "answers": ["sleeps"]}, {"qid": "q3", "question": "king", "answers": ["pope"]}]
    (folder / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    (folder / "run.other.txt").write_text("q1 Q0 d4 1 9 x\nq2 Q0 d3 1 9 x\n", encoding="utf-8")
    return DirectoryDataset(folder)


def test_measures_and_depth_are_the_suites(dataset: DirectoryDataset) -> None:
    assert evaluate_on_dataset(dataset, ["bm25"]).measures == ["RR@10", "nDCG@10", "R@100"]
    found = evaluate_on_dataset(dataset, ["bm25"], suite=find_suite("trec-dl-2019"))
    assert found.measures == list(SUITES["trec-dl-2019/passage"].measures)
    # the suite counts grade 2; BM25 has the shorter document d1 first
    assert found.per_query["bm25"]["AP(rel=2)@1000"].to_dict() == {"q1": 1.0, "q2": 1.0}
    shallow = evaluate_on_dataset(dataset, ["bm25"], suite=replace(SUITES["judged"], depth=1))
    assert shallow.runs["bm25"].groupby("qid").size().max() == 1
    assert evaluate_on_dataset(dataset, ["bm25"], num_results=2, suite=replace(SUITES["judged"], depth=1)).runs["bm25"]["rank"].max() == 1


def test_a_name_will_do_for_a_dataset_but_systems_have_names(dataset: DirectoryDataset) -> None:
    assert evaluate_on_dataset(str(dataset.folder), ["bm25"]).table()["RR@10"].tolist() == [1.0]
    with pytest.raises(UsageError, match="systems by name"):
        evaluate_systems([dataset_bm25(dataset).retriever()], dataset.queries(), dataset.qrels())  # type: ignore[arg-type]


def test_bm25_has_the_suites_settings_unless_the_system_says_otherwise(dataset: DirectoryDataset) -> None:
    suite = replace(SUITES["judged"], k1=0.0, b=0.0)
    found = evaluate_on_dataset(dataset, ["plain=bm25", "own=bm25[k1=1.2; b=0.75]", "same=bm25[k1=0; b=0]"], suite=suite)
    scores = {name: run["score"].tolist() for name, run in found.runs.items()}
    assert scores["plain"] == scores["same"] != scores["own"]


def test_runs_beside_the_collection_and_files_are_evaluated(dataset: DirectoryDataset, tmp_path: Path) -> None:
    (tmp_path / "theirs.txt").write_text("q1\td1\t1\nq2\td1\t1\n", encoding="utf-8")
    found = evaluate_on_dataset(
        dataset, ["bm25", "again=run.other % 1"], run_files={"theirs": tmp_path / "theirs.txt"}, measures=["RR@10"], baseline="theirs"
    )
    table = found.table()
    assert table["RR@10"].to_dict() == {"bm25": 1.0, "again": 1.0, "theirs": 0.5}
    assert found.comparison is not None
    alone = evaluate_on_dataset(dataset, [], run_files={"theirs": tmp_path / "theirs.txt"})
    assert list(alone.runs) == ["theirs"]
    with pytest.raises(EvaluationError, match="there is no system"):
        evaluate_on_dataset(dataset, [])


def test_documents_that_the_corpus_lacks_are_found_by_the_doctor(dataset: DirectoryDataset, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    shutil.copytree(dataset.folder, folder)
    with (folder / "qrels.txt").open("a") as stream:
        stream.write(f"{dataset.queries()['qid'][0]} 0 nowhere 1\n")
    changed = DirectoryDataset(folder)
    found = diagnose_on_dataset(evaluate_on_dataset(changed, ["bm25"]), changed, "test", suite_of(changed))
    assert any("'nowhere'" in finding.what for finding in found)


def test_questions_with_answers_need_no_judgements(dataset: DirectoryDataset, tmp_path: Path) -> None:
    found = evaluate_on_dataset(dataset, ["bm25"], suite=SUITES["nq"])
    assert found.measures == ["Coverage@1", "Coverage@5", "Coverage@20", "Coverage@100"]
    assert found.per_query["bm25"]["Coverage@1"].to_dict() == {"q1": 1.0, "q3": 0.0}
    (tmp_path / "questions").write_text("moon\t['red']\n", encoding="utf-8")
    questions = QuestionFile(dataset, tmp_path / "questions", "nq")
    assert evaluate_on_dataset(questions, ["bm25"]).per_query["bm25"]["Coverage@5"].to_dict() == {"0": 1.0}


def test_overlap_alone_is_over_the_judged_queries(dataset: DirectoryDataset) -> None:
    (dataset.folder / "answers.jsonl").unlink()
    found = evaluate_on_dataset(DirectoryDataset(dataset.folder), ["bm25"], measures=["Overlap(run='bm25')@1"])
    assert found.per_query["bm25"].iloc[:, 0].to_dict() == {"q1": 1.0, "q2": 1.0}


def test_of_files_of_the_users_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "collection.tsv").write_text("0\ta cat\n")
    (tmp_path / "queries.dev.small.tsv").write_text("1\tcat\n")
    with pytest.raises(DatasetNotFoundError) as refused:
        evaluate_on_dataset(str(tmp_path), ["bm25"], split="dev.small")
    assert "qrels.dev.small.tsv" in str(refused.value) and "GB" not in str(refused.value)


def test_what_is_needed_is_told_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: IrDataset, split: str = "test") -> None:
        raise DatasetNotFoundError(f"ir_datasets cannot provide it ({split}); copy that machine's folder here")

    monkeypatch.setattr(IrDataset, "queries", fail)
    dataset = IrDataset("msmarco-passage/trec-dl-2019/judged", "trec-dl-2019")
    told = r"^trec-dl-2019/passage needs the passages of MS MARCO \(1.1 GB .*\), queries and judgements .* cannot provide it \(test\); copy"
    with pytest.raises(DatasetNotFoundError, match=told):
        evaluate_on_dataset(dataset, ["bm25"])
