"""Folders in BEIR's layout, as BEIR's archives unpack."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from ance_ir.datasets import DirectoryDataset, FileDataset, load_dataset
from ance_ir.digests import hash_files
from ance_ir.errors import DatasetError, DatasetNotFoundError, MalformedFileError
from ance_ir.eval import suite_of

DOCUMENTS = [
    {"_id": "MED-1", "title": "Cats", "text": "Cats sleep.", "metadata": {"url": "http://x"}},
    {"_id": "q2", "title": "", "text": "Dogs bark.", "metadata": {}},
]
QUERIES = {"q1": "who sleeps", "q2": "who barks", "q3": "who is never judged"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "nq"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    queries = [{"_id": qid, "text": text, "metadata": {}} for qid, text in QUERIES.items()]
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq2\tq2\t1\nq2\tMED-1\t0\n")
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tMED-1\t2\n")
    return folder


def _gzip(folder: Path) -> None:
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_all_of_it_is_read(folder: Path, gzipped: bool, nested: bool) -> None:
    if gzipped:
        _gzip(folder)
    if nested:
        folder.rename(folder.parent / "inner")
        folder.mkdir()
        (folder.parent / "inner").rename(folder / "nq")
    dataset = load_dataset(str(folder))
    assert isinstance(dataset, FileDataset)
    assert dataset.layout == "beir"
    assert (dataset.name, dataset.splits) == ("beir/nq", ("test", "train"))
    assert list(dataset.documents()) == [
        {"docno": "MED-1", "title": "Cats", "text": "Cats sleep."},
        {"docno": "q2", "title": "", "text": "Dogs bark."},
    ]
    assert dataset.queries().to_dict("list") == {"qid": ["q2"], "query": ["who barks"]}
    assert dataset.queries("train").to_dict("list") == {"qid": ["q1"], "query": ["who sleeps"]}
    assert dataset.qrels().to_dict("list") == {"qid": ["q2", "q2"], "docno": ["q2", "MED-1"], "label": [1, 0]}
    assert load_dataset(folder).fingerprint == dataset.fingerprint
    assert load_dataset(dataset.source).name == dataset.name


def test_the_fingerprint_is_that_of_earlier_versions(folder: Path) -> None:
    qrels = [folder / "qrels" / f"{split}.tsv" for split in ("test", "dev", "train")]
    qrels[1].write_text(qrels[0].read_text())
    assert load_dataset(folder).fingerprint == hash_files([folder / "corpus.jsonl", folder / "queries.jsonl", *qrels])


def test_beirs_suite_and_its_rule_apply_whatever_the_name(folder: Path) -> None:
    suite = suite_of(load_dataset(folder), "test")
    assert (suite.name, suite.counts_itself) == ("beir", False)


def test_it_is_found_by_its_name_under_the_data_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_DATA", str(folder.parent))
    monkeypatch.chdir("/")
    assert load_dataset("nq").name == "beir/nq"


def test_without_judgements_all_queries_are_the_test_split(folder: Path) -> None:
    for path in (folder / "qrels").iterdir():
        path.unlink()
    (folder / "qrels").rmdir()
    dataset = load_dataset(folder)
    assert dataset.splits == ("test",)
    assert dataset.queries()["qid"].tolist() == list(QUERIES)
    for read in (dataset.qrels, dataset.answers, lambda: dataset.queries("dev")):
        with pytest.raises(DatasetNotFoundError, match="beir/nq"):
            read()


@pytest.mark.parametrize(
    ("name", "line", "number"),
    [
        ("corpus.jsonl", '{"docno": "d", "text": "x"}', 3),
        ("corpus.jsonl", '{"_id": "a b", "text": "x"}', 3),
        ("queries.jsonl", '{"_id": "q1", "text": "again"}', 4),
        ("queries.jsonl", '{"_id": "q9"}', 4),
        ("queries.jsonl", '{"_id": 1.0, "text": "x"}', 4),
        ("qrels/test.tsv", "q1 0 MED-1 1", 4),
        ("qrels/test.tsv", "q1\tMED-1\tvery", 4),
    ],
)
def test_a_line_that_does_not_parse_is_named(folder: Path, name: str, line: str, number: int) -> None:
    with (folder / name).open("a") as stream:
        stream.write(f"{line}\n")
    dataset = load_dataset(folder)
    with pytest.raises(MalformedFileError, match=f"{name}, line {number}"):
        _ = list(dataset.documents()), dataset.queries()


def test_a_line_of_beirs_is_not_told_to_be_ours(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text('{"_id": "d", "title": 5, "text": "t"}\n')
    with pytest.raises(MalformedFileError, match=r"line 1: .*'title'") as caught:
        list(load_dataset(folder).documents())
    assert "docno" not in str(caught.value)


def test_a_header_is_not_needed_and_only_the_first_line_is_one(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text("q2\tMED-1\t1\n")
    assert len(load_dataset(folder).qrels()) == 1
    (folder / "qrels" / "test.tsv").write_text("q2\tMED-1\t1\nquery-id\tcorpus-id\tscore\n")
    with pytest.raises(MalformedFileError, match="line 2"):
        load_dataset(folder).qrels()


def test_a_directory_of_ours_stays_one_whatever_else_it_holds(folder: Path) -> None:
    ours = folder.parent / "pets"
    ours.mkdir()
    (ours / "corpus.jsonl").write_text('{"docno": "d", "text": "t"}\n')
    (ours / "queries.jsonl").write_text('{"text": "not of the layout"}\n')
    shutil.copytree(folder, ours / "pets")
    dataset = load_dataset(ours)
    assert isinstance(dataset, DirectoryDataset)
    assert list(dataset.documents()) == [{"docno": "d", "text": "t"}]


def test_a_file_that_is_there_twice_is_refused(folder: Path) -> None:
    (folder / "queries.jsonl.gz").write_bytes(gzip.compress((folder / "queries.jsonl").read_bytes()))
    with pytest.raises(DatasetError, match=r"queries\.jsonl and queries\.jsonl\.gz"):
        load_dataset(folder)


def test_a_folder_in_a_folder_of_another_name(folder: Path) -> None:
    outer = folder.parent / "download"
    outer.mkdir()
    folder.rename(outer / "nq")
    (outer / ".cache").mkdir()
    dataset = load_dataset(outer)
    assert (dataset.name, dataset.splits) == ("beir/nq", ("test", "train"))


def test_whole_numbers_are_ids_and_labels_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": 7, "text": "a cat"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": 1, "text": "cat"}\n')
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n1\t7\t2.0\n")
    dataset = load_dataset(tmp_path)
    assert [document["docno"] for document in dataset.documents()] == ["7"]
    assert dataset.queries()["qid"].tolist() == ["1"]
    assert dataset.qrels().values.tolist() == [["1", "7", 2]]
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n1\t7\t2.5\n")
    with pytest.raises(MalformedFileError, match="line 2"):
        dataset.qrels()
    (tmp_path / "corpus.jsonl").write_text('{"_id": 7.0, "text": "a cat"}\n')
    with pytest.raises(MalformedFileError, match=r"line 1.*write 1 for 1\.0"):
        list(load_dataset(tmp_path).documents())
