"""Text as others write it: marks, white space, line ends, compression, encodings; and what is recognised as something else."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ance_ir import reading
from ance_ir.datasets import DirectoryDataset, QuestionFile, load_dataset
from ance_ir.datasets.parsing import read_qrels, read_queries
from ance_ir.errors import AnceError, DatasetError, DatasetNotFoundError, MalformedFileError
from ance_ir.eval import read_run
from ance_ir.files import read_json
from ance_ir.reading import lines
from tests.compressed import COMPRESS, tarred, zipped

MARK = b"\xef\xbb\xbf"


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a mark": lambda text: MARK + text,
    "a mark on each line": lambda text: b"".join(MARK + line for line in text.splitlines(keepends=True)),
    "Windows' line ends": lambda text: text.replace(b"\n", b"\r\n"),
    "line ends of old Macs": lambda text: text.replace(b"\n", b"\r"),
    "no line end at the end": lambda text: text.rstrip(b"\n"),
    **COMPRESS,
    "gzipped with a mark": lambda text: gzip.compress(MARK + text),
}


def everything(folder: Path) -> list[object]:
    dataset = DirectoryDataset(folder)
    frames = [dataset.queries(), dataset.queries("dev"), dataset.qrels(), dataset.answers(), read_run(dataset.runs()["bm25"])]
    questions = QuestionFile(dataset, folder / "questions").answers()
    return [*(frame.to_dict("list") for frame in frames), list(dataset.documents()), questions.to_dict("list")]


@pytest.mark.parametrize("change", CHANGES)
def test_every_file_of_text_is_read_alike(collection: Path, change: str) -> None:
    (collection / "questions").write_text("who\t['Ada', 'it''s']\nwhere\t[]\n", encoding="utf-8")
    expected = everything(collection)
    for path in collection.iterdir():
        path.write_bytes(CHANGES[change](path.read_bytes()))
    assert everything(collection) == expected


@pytest.mark.parametrize("mark", [b"", MARK])
def test_json_that_a_person_saved_with_a_mark(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "x.json").write_bytes(mark + b'{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'{\n"a": 1,}', "line 2"),
        (b"", "line 1"),
        (b'{\n"a": "\xe9"}', "line 2: expected UTF-8"),
        (b"[" * 100_000, "line 1"),
        (b"1" * 5000, "line 1"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        (gzip.compress(b'{"a": 1}', mtime=0)[:-9], "x.json"),
    ],
)
def test_json_that_is_none_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DatasetError, match=found):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("name", ["queries.tsv", "qrels.txt", "corpus.jsonl", "answers.jsonl", "run.bm25.txt"])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text.decode().encode("utf-16"), "UTF-16"),
        (lambda text: text.decode().encode("utf-16-be"), "UTF-16"),
        (lambda text: text.decode().encode("utf-32"), "UTF-32"),
        (lambda text: gzip.compress(text.decode().encode("utf-16")), "UTF-16"),
        (lambda text: bz2.compress(text.decode().encode("utf-16")), "UTF-16"),
        (lambda text: gzip.compress(lzma.compress(text)), "xz"),
        (lambda text: zipped({"a": text, "b": text}), "2 files: 'a', 'b'"),
        (lambda _: zipped({}), "empty archive"),
        (lambda text: gzip.compress(tarred({"x": text})), "tar archive"),
        (lambda _: b"<!DOCTYPE html>\n<html>", "HTML"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
)
def test_what_is_no_text_in_utf8_is_named(collection: Path, name: str, change: Callable[[bytes], bytes], found: str) -> None:
    path = collection / name
    path.write_bytes(change(path.read_bytes()))
    dataset = DirectoryDataset(collection)
    read: dict[str, Callable[[], object]] = {
        "queries.tsv": dataset.queries,
        "qrels.txt": dataset.qrels,
        "corpus.jsonl": lambda: list(dataset.documents()),
        "answers.jsonl": dataset.answers,
        "run.bm25.txt": lambda: read_run(path),
    }
    with pytest.raises(MalformedFileError, match=rf"{name}.*{found}"):
        read[name]()


def test_latin1_is_recognised(collection: Path) -> None:
    (collection / "queries.tsv").write_bytes("q1\twho\nq2\tcafé au lait\n".encode("latin-1"))
    with pytest.raises(MalformedFileError, match=r"line 2: .*1252.*café"):
        DirectoryDataset(collection).queries()


@pytest.mark.parametrize(("name", "content"), [("x", gzip.compress(b"q1\twho\n", mtime=0)), ("x.gz", b"q1\twho\n")])
def test_a_name_that_does_not_say_what_the_file_is(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(read_queries(tmp_path / name)) == [("q1", "who")]
    (record,) = caplog.records
    assert "compressed" in record.message
    assert str(tmp_path / name) in record.message


def test_white_space_around_ids_is_no_part_of_them(collection: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = everything_without_questions(collection)
    (collection / "queries.tsv").write_text("q1 \twho sleeps\n\u00a0q2\twho barks\n", encoding="utf-8")
    (collection / "qrels.txt").write_text("q1 0 d1 2\n q1\t0\t3\t1\n\u200bq2 0 größe/日本\ufeff -1\n", encoding="utf-8")
    (collection / "answers.jsonl").write_text('{"qid": " q1", "question": "who sleeps", "answers": ["cats", "a cat"]}\n', encoding="utf-8")
    corpus = (collection / "corpus.jsonl").read_text(encoding="utf-8").replace('"d1"', '"d1 "')
    (collection / "corpus.jsonl").write_text(corpus, encoding="utf-8")
    assert everything_without_questions(collection) == expected
    told = [record.message for record in caplog.records]
    assert [name for name in ("queries.tsv", "qrels.txt", "answers.jsonl", "corpus.jsonl") if not any(name in line for line in told)] == []
    assert sum("'q1 ', '\\xa0q2'" in line and "2 ids" in line for line in told) == 1


def everything_without_questions(folder: Path) -> list[object]:
    dataset = DirectoryDataset(folder)
    return [*(frame.to_dict("list") for frame in (dataset.queries(), dataset.qrels(), dataset.answers())), list(dataset.documents())]


@pytest.mark.parametrize("identifier", ["a b", "a\u00a0b", "a\0", "a\u2028b", "a\x1fb", "a\u200bb"])
def test_white_space_within_an_id_is_refused_by_line_everywhere(collection: Path, identifier: str) -> None:
    written = {
        "queries.tsv": f"q1\twho\n{identifier}\twho\n",
        "qrels.txt": f"q1 0 d1 1\nq1 0 {identifier} 1\n",
        "corpus.jsonl": "".join(json.dumps({"docno": docno, "text": "t"}) + "\n" for docno in ("d1", identifier)),
        "answers.jsonl": "".join(json.dumps({"qid": qid, "question": "?", "answers": []}) + "\n" for qid in ("q1", identifier)),
    }
    dataset = DirectoryDataset(collection)
    reads: list[Callable[[], object]] = [dataset.queries, dataset.qrels, lambda: list(dataset.documents()), dataset.answers]
    for (name, content), read in zip(written.items(), reads, strict=True):
        (collection / name).write_text(content, encoding="utf-8")
        with pytest.raises(MalformedFileError, match=f"{name}, line 2"):
            read()


def test_judgements_that_conflict_are_named_by_their_lines(collection: Path) -> None:
    (collection / "qrels.txt").write_text("q1 0 d1 2\n\nq1 0 d2 1\nq1 0 d1 0\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"qrels\.txt: query 'q1' and document 'd1' .*2 in line 1 .*0 in line 4"):
        DirectoryDataset(collection).qrels()


def test_equal_judgements_count_once(collection: Path, caplog: pytest.LogCaptureFixture) -> None:
    (collection / "qrels.txt").write_text("q1 0 d1 2\nq1 0 d2 1\nq1 0 d1 2\nq2 0 d1 1\n", encoding="utf-8")
    assert DirectoryDataset(collection).qrels().to_dict("list") == {
        "qid": ["q1", "q1", "q2"],
        "docno": ["d1", "d2", "d1"],
        "label": [2, 1, 1],
    }
    (record,) = caplog.records
    assert "qrels.txt: 1 repeated" in record.message


@pytest.mark.parametrize("label", ["99999999999999999999", "2147483648", "1001", "-1001", "9" * 5000, "1_0", "１", "1e2", "0x1"])
def test_a_label_beyond_a_small_range_is_refused_by_line(tmp_path: Path, label: str) -> None:
    (tmp_path / "qrels.txt").write_text(f"q1 0 d1 -1000\nq1 0 d2 {label}\n", encoding="utf-8")
    with pytest.raises(MalformedFileError, match=r"line 2: .*label"):
        read_qrels(tmp_path / "qrels.txt")


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("queries.tsv", "qid\tquery\nq1\twho\n", "header"),
        ("queries.tsv", "query-id\ttext\nq1\twho\n", "header"),
        ("queries.tsv", "id,text\nq1,who\n", "header"),
        ("queries.tsv", "number\tdescription\nq1\twho\n", "header"),
        ("queries.tsv", "Number\tNarr\nq1\twho\n", "header"),
        ("queries.tsv", "q1,who\n", "tab"),
        ("queries.tsv", "q1 who sleeps\n", "tab"),
        ("queries.tsv", '{"_id": "q1", "text": "who"}\n', "BEIR"),
        ("queries.tsv", '{"qid": "q1", "query": "who"}\n', "JSON"),
        ("queries.tsv", "q1 Q0 d1 1 2.5 bm25\n", "run"),
        ("queries.tsv", "q1\t0\td1\t1\n", "judgements"),
        ("qrels.txt", "query-id\tcorpus-id\tscore\nq1\td1\t1\n", "header"),
        ("qrels.txt", "qid iter docno rel\nq1 0 d1 1\n", "header"),
        ("qrels.txt", "q1\td1\t1\n", "three columns"),
        ("qrels.txt", "q1 0 1 d1\n", "swapped"),
        ("qrels.txt", "q1 0 1 1234567\n", "label"),
        ("qrels.txt", "q1 Q0 d1 1 2.5 bm25\n", "run"),
        ("qrels.txt", '{"q1": {"d1": 1}}\n', "JSON"),
        ("qrels.txt", "q1\twho sleeps here\n", "queries"),
        ("corpus.jsonl", '{"_id": "d1", "title": "", "text": "t"}\n', "BEIR"),
        ("corpus.jsonl", '{"id": "d1", "contents": "t"}\n', "Pyserini"),
        ("corpus.jsonl", '{"doc_id": "d1", "text": "t"}\n', "docno"),
        ("corpus.jsonl", "d1\tsome text\n", "JSON"),
        ("corpus.jsonl", '[{"docno": "d1", "text": "t"}]\n', "JSON"),
        ("corpus.jsonl", '{\n"docno": "d1",\n"text": "t"\n}\n', "JSON"),
    ],
)
def test_what_is_recognised_as_something_else_is_said(collection: Path, name: str, content: str, hint: str) -> None:
    (collection / name).write_text(content, encoding="utf-8")
    dataset = DirectoryDataset(collection)
    read = {"queries.tsv": dataset.queries, "qrels.txt": dataset.qrels, "corpus.jsonl": lambda: list(dataset.documents())}[name]
    with pytest.raises(MalformedFileError, match=rf"{name}, line 1: .*\. .*{hint}"):
        read()


def test_a_folder_of_beirs_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "scifact" / "qrels").mkdir(parents=True)
    (tmp_path / "scifact" / "corpus.jsonl").write_text('{"_id": "d1", "title": "", "text": "t"}\n', encoding="utf-8")
    (tmp_path / "scifact" / "queries.jsonl").write_text('{"_id": "q1", "text": "who"}\n', encoding="utf-8")
    (tmp_path / "scifact" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n", encoding="utf-8")
    dataset = DirectoryDataset(tmp_path / "scifact")
    for read in (dataset.queries, dataset.qrels, lambda: list(dataset.documents())):
        with pytest.raises(DatasetError, match="BEIR"):
            read()
    with pytest.raises(DatasetNotFoundError, match="scifact"):
        DirectoryDataset(tmp_path)


def test_paths_may_begin_with_a_tilde(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(collection.parent))
    expected = DirectoryDataset(collection).queries()
    for dataset in (load_dataset("~/pets"), DirectoryDataset("~/pets"), load_dataset(Path("~/pets"))):
        pd.testing.assert_frame_equal(dataset.queries(), expected)
        assert dataset.name == "pets"
    monkeypatch.setenv("ANCE_IR_DATA", "~")
    pd.testing.assert_frame_equal(load_dataset("pets").queries(), expected)
    assert len(read_run("~/pets/run.bm25.txt")) == 1
    assert dict(read_queries("~/pets/queries.tsv")) == dict(zip(expected["qid"], expected["query"], strict=True))


@pytest.mark.parametrize("content", [b"\0" * 100, b"\xff" * 100, b"\r" * 100, b"\n" * 100, b"\x1f\x8b", b"\x1f\x8b" * 50, b'"' * 200_000])
def test_nothing_but_a_value_or_an_error_of_ours(collection: Path, content: bytes) -> None:
    for name in ("queries.tsv", "qrels.txt", "corpus.jsonl", "answers.jsonl", "questions", "run.bm25.txt"):
        (collection / name).write_bytes(content)
    dataset = DirectoryDataset(collection)
    reads: list[Callable[[], object]] = [
        dataset.queries,
        dataset.qrels,
        dataset.answers,
        lambda: list(dataset.documents()),
        lambda: read_run(collection / "run.bm25.txt"),
        QuestionFile(dataset, collection / "questions").answers,
    ]
    for read in reads:
        try:
            read()
        except AnceError as error:
            assert str(collection) in str(error)


def test_a_key_that_comes_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"q1": {"contexts": []}, "q1": {"contexts": [{"docid": "d", "score": 1}]}}')
    with pytest.raises(MalformedFileError, match="q1"):
        read_run(tmp_path / "run.json")
    (tmp_path / "corpus.jsonl").write_text('{"docno": "a", "text": "x"}\n{"docno": "b", "text": "x", "docno": "c"}\n')
    with pytest.raises(MalformedFileError, match=r"line 2.*docno"):
        list(DirectoryDataset(tmp_path).documents())


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_line_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    monkeypatch.setattr(reading, "LONGEST", 100_000)
    path = tmp_path / "x"
    path.write_bytes(b"short" + end + b"a" * 99_999 + end)
    assert [len(line.text) for line in lines(path)] == [5, 99_999]
    path.write_bytes(b"short" + end + b"a" * 500_000)
    with pytest.raises(MalformedFileError, match=r"x, line 2: .*MiB"):
        list(lines(path))
