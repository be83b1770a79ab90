"""Runs of MS MARCO, DPR and Pyserini beside TREC's: told apart, read, written, refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ance_ir.datasets import DocumentStore
from ance_ir.errors import AnceError, DatasetError, DocumentNotFoundError, EvaluationError, MalformedFileError, UsageError
from ance_ir.eval import RUN_FORMATS, read_run, write_passages, write_run
from ance_ir.eval.runs import find_run_format

RUN = pd.DataFrame([("q2", "b", 2.0), ("q2", "a", 2.0), ("q1", "c", 0.5)], columns=["qid", "docno", "score"])
ANSWERS = pd.DataFrame(
    [("q1", "Who?", ["Ada", "é"]), ("q2", "Where?", ["paris"]), ("q3", "Who?", ["x"])], columns=["qid", "query", "answers"]
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DocumentStore:
    texts = {"a": ("Paris", "a city\nof light"), "b": ("", "in Paris"), "c": ("C", "Ada wrote")}
    documents = ({"docno": docno, "title": title, "text": text} for docno, (title, text) in texts.items())
    return DocumentStore.build(documents, tmp_path_factory.mktemp("store") / "documents")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(run: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in run[["qid", "docno", "rank"]].itertuples(index=False)]


EXPECTED = [("q2", "b", 0), ("q2", "a", 1), ("q1", "c", 0)]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("format", [name for name, form in RUN_FORMATS.items() if form.lines])
def test_a_run_is_written_told_and_read_again(tmp_path: Path, format: str, ending: str) -> None:
    path = tmp_path / f"run{ending}"
    write_run(RUN, path, "t", format)
    assert find_run_format(path) == format
    assert rows(read_run(path)) == rows(read_run(path, format)) == EXPECTED


def test_ms_marcos_run_is_its_lines(tmp_path: Path) -> None:
    write_run(RUN, tmp_path / "run", "t", "msmarco")
    assert (tmp_path / "run").read_text(encoding="utf-8") == "q2\tb\t1\nq2\ta\t2\nq1\tc\t1\n"
    again = read_run(write(tmp_path / "run", "1\tx\t10\n1\ta\t2\n\n1\tm\t9\n"))
    assert again["docno"].tolist() == ["a", "m", "x"]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("format", [name for name, form in RUN_FORMATS.items() if form.entry])
def test_passages_are_written_told_and_read_again(tmp_path: Path, store: DocumentStore, format: str, ending: str) -> None:
    path = tmp_path / f"run.json{ending}"
    write_passages(RUN, path, ANSWERS, store, format)
    assert find_run_format(path) == format
    assert sorted(rows(read_run(path))) == sorted(EXPECTED)
    assert sorted(rows(read_run(path, queries=ANSWERS))) == sorted(EXPECTED)
    renamed = ANSWERS.assign(qid=["z1", "z2", "z3"])
    assert set(read_run(path, queries=renamed)["qid"]) == {"z1", "z2"}
    content = path.read_bytes()
    value = json.loads(gzip.decompress(content) if ending else content)
    if format == "dpr":
        assert [list(entry) for entry in value] == [["qid", "question", "answers", "ctxs"]] * 3
        assert value[1]["ctxs"] == [
            {"id": "b", "title": "", "text": "in Paris", "score": 2.0, "has_answer": True},
            {"id": "a", "title": "Paris", "text": "a city\nof light", "score": 2.0, "has_answer": False},
        ]
        assert value[2]["ctxs"] == []
    elif format == "pyserini":
        assert value["q1"] == {
            "question": "Who?",
            "answers": ["Ada", "é"],
            "contexts": [{"docid": "c", "score": 0.5, "text": "C\nAda wrote", "has_answer": True}],
        }


def test_files_of_the_tools_themselves(tmp_path: Path) -> None:
    # DPR's scores are strings, its questions have no qid; Pyserini's qids may be numbers, its files indented
    contexts = [{"id": "wiki:1", "title": "t", "text": "x", "score": "79.5", "has_answer": False}, {"id": 7, "score": 80}]
    path = write(tmp_path / "dpr.json", json.dumps([{"question": "a?", "answers": [], "ctxs": contexts}, {"question": "b?", "ctxs": []}]))
    assert rows(read_run(path)) == [("0", "7", 0), ("0", "wiki:1", 1)]
    queries = pd.DataFrame({"qid": ["n1", "n0"], "query": ["b?", "a?"]})
    assert set(read_run(path, queries=queries)["qid"]) == {"n0"}
    theirs = {"12": {"question": "a?", "answers": ["x"], "contexts": [{"docid": "d", "score": "1.5", "has_answer": True}]}}
    path = write(tmp_path / "pyserini.json", json.dumps(theirs, indent=4))
    assert rows(read_run(path)) == [("12", "d", 0)]
    with pytest.raises(EvaluationError, match=r"pyserini\.json.*'a\?'"):
        read_run(path, queries=queries.head(1))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert rows(read_run(write(tmp_path / "a", b"\xef\xbb\xbf1 Q0 d 1 2.0 t\n"))) == [("1", "d", 0)]
    assert rows(read_run(write(tmp_path / "b", b'\xef\xbb\xbf{"1": {"contexts": [{"docid": "d", "score": 1}]}}'))) == [("1", "d", 0)]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", DatasetError, "file holds no run: it is empty"),
        (" \n\n", DatasetError, "it is empty"),
        ("a b\n", MalformedFileError, "line 1: expected a line of a run, DPR: .* or MS MARCO: .* or TREC: .*, found 'a b'"),
        ("\nqid docno score rank\n", MalformedFileError, "line 2: expected a line of a run"),
        ("1\ta\t1\n1\tb\n", MalformedFileError, "line 2: expected a line 'qid docno rank'"),
        ("1\ta\t1\n1\tb\t0\n", MalformedFileError, "line 2: expected a line 'qid docno rank'"),
        ("1\ta\t1\n1\tb\t1.5\n", MalformedFileError, "line 2: expected a line 'qid docno rank'"),
        ("1\ta\t1\n\n1\ta\t2\n", MalformedFileError, "line 3: expected a document once for a query, found 'a again for 1'"),
        ("1\ta\t1\n1\tb\t1\n", EvaluationError, "file: query 1 has two documents at rank 1, b for one"),
        (b"1 Q0 a 1 2 t\n" + b"1 Q0 \xe9 2 1 t\n", MalformedFileError, r"line 2: expected UTF-8, found '1 Q0 \\\\xe9"),
        ("1 Q0 a 1 2 t\n".encode("utf-16"), MalformedFileError, "UTF-16"),
        ("1 Q0 a 1 2 t\n".encode("utf-16-le"), MalformedFileError, "UTF-16"),
        ("1 Q0 a\u00a0b 1 2 t\n", MalformedFileError, "line 1: .*docno"),
        ("1 Q0 a 1 2 t\n1 Q0 a\0b 1 1 t\n", MalformedFileError, "line 2: .*docno"),
        ("1\ta\t1\n1\tb\t" + "9" * 400, MalformedFileError, "line 2"),
        ("1\ta\t1\n1\tb\t" + "9" * 5000, MalformedFileError, "line 2"),
        ("1 Q0 a 1 2 t\n1 0 b 1\n", MalformedFileError, "line 2: .*judgements"),
        ("1 0 b 1\n", MalformedFileError, "line 1: .*judgements"),
        ("qid Q0 docno rank score tag\n1 Q0 a 1 2 t\n", MalformedFileError, "line 1: .*header"),
        ("query-id\tcorpus-id\tscore\n1\ta\t1\n", MalformedFileError, "line 1: .*header"),
        (b"PK\x03\x04abcdefgh", DatasetError, "zip"),
        ('[{"ctxs": [{"id": "a", "score": ' + "9" * 400 + "}]}]", DatasetError, "passage 1: .*'score'"),
        ('[{"ctxs": [{"id": "a b", "score": 1}]}]', DatasetError, "passage 1: .*'a b'"),
        ('[{"qid": [1], "ctxs": []}]', DatasetError, "qid"),
        ('[{"a": ' + "[" * 100_000, MalformedFileError, "line 1: expected JSON"),
        ('[\n{"question": "é"},\n'.encode() + b'{"question": "\xe9"}]', MalformedFileError, "line 3: expected UTF-8"),
        ('[{"question": 1},\n{"ctxs"]', MalformedFileError, "line 2: expected JSON, found"),
        ('[{"question": "a"}]', DatasetError, "question '0': expected a list of passages under the key 'ctxs'"),
        ('["a"]', MalformedFileError, "line 1: expected a line of a run"),
        ('{"1": []}', DatasetError, "question '1': expected a list of passages under the key 'contexts'"),
        ('[{"ctxs": [{"score": 1}]}]', DatasetError, "passage 1: .*'id'.*None"),
        ('[{"ctxs": [7]}]', DatasetError, "passage 1: .*'id'"),
        ('[{"ctxs": [{"id": "a"}]}]', DatasetError, "passage 1: expected a finite number under the key 'score', found None"),
        ('[{"ctxs": [{"id": "a", "score": NaN}]}]', DatasetError, "expected a finite number under the key 'score', found nan"),
        ('[{"ctxs": [{"id": "a", "score": "1e999"}]}]', DatasetError, "expected a finite number"),
        ('[{"ctxs": [{"id": "a", "score": 2}, {"id": "a", "score": 1}]}]', DatasetError, "question '0': the document 'a' comes twice"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | bytes, error: type[AnceError], message: str) -> None:
    with pytest.raises(error, match=message):
        read_run(write(tmp_path / "file", content))


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(f"1 Q0 d{number} 1 2.0 t\n".encode() for number in range(5000)))
    with pytest.raises(DatasetError, match="truncated or damaged"):
        read_run(write(tmp_path / "cut.gz", whole[: len(whole) // 2]))
    with pytest.raises(DatasetError, match=r"empty\.gz"):
        read_run(write(tmp_path / "empty.gz", ""))


def test_what_cannot_be_written_is_refused(tmp_path: Path, store: DocumentStore) -> None:
    path = tmp_path / "run"
    with pytest.raises(UsageError, match=r"'x'.*dpr, msmarco, pyserini, trec"):
        write_run(RUN, path, "t", "x")
    with pytest.raises(UsageError, match="write_passages writes it"):
        write_run(RUN, path, "t", "dpr")
    with pytest.raises(UsageError, match="write_run writes it"):
        write_passages(RUN, path, ANSWERS, store, "trec")
    with pytest.raises(EvaluationError, match="'q9'"):
        write_passages(RUN.assign(qid="q9"), path, ANSWERS, store)
    with pytest.raises(DocumentNotFoundError, match="'z'"):
        write_passages(RUN.head(1).assign(docno="z"), path, ANSWERS, store)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line", [b"1 Q0 d 1 2.0 t", b"1\td\t1", b"[x] Q0 {y} 1 2.0 t", b'[{"question": "a b"', b'{"1": {"question": "a",', b"[", b"{ }"]
)
def test_a_line_begins_one_format(line: bytes) -> None:
    assert len([name for name, form in RUN_FORMATS.items() if form.start.match(line)]) == 1


@pytest.mark.parametrize("format", RUN_FORMATS)
def test_a_format_is_described_and_can_be_written(format: str) -> None:
    assert ": " in RUN_FORMATS.summary(format)
    assert (RUN_FORMATS[format].lines is None) != (RUN_FORMATS[format].entry is None)
