"""Questions and answers in the forms of DPR and Pyserini."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from ance_ir.datasets import DirectoryDataset, QuestionFile, load_dataset
from ance_ir.datasets.sources.questions import read_questions
from ance_ir.errors import DatasetNotFoundError, MalformedFileError

QUESTIONS = [
    ("who sang it", ["Paul", 'Paul "Macca" McCartney']),
    ('"tab" or not', ["it's", "日本"]),
    ("none known", []),
]


def write_dpr(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter="\t").writerows((question, repr(answers)) for question, answers in QUESTIONS)


def write_topics(path: Path) -> None:
    path.write_text("".join(f"{question}\t{answers!r}\n" for question, answers in QUESTIONS), encoding="utf-8")


def write_lines(path: Path) -> None:
    path.write_text(
        "".join(json.dumps({"question": question, "answer": answers}) + "\n" for question, answers in QUESTIONS), encoding="utf-8"
    )


def write_list(path: Path) -> None:
    entries = [{"question": question, "answers": answers, "positive_ctxs": []} for question, answers in QUESTIONS]
    path.write_text(json.dumps(entries, indent=1), encoding="utf-8")


@pytest.mark.parametrize("write", [write_dpr, write_topics, write_lines, write_list])
@pytest.mark.parametrize("gzipped", [False, True])
def test_every_form_is_read(write: object, gzipped: bool, collection: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions"
    write(path)  # type: ignore[operator]
    if gzipped:
        path = tmp_path / "questions.gz"
        path.write_bytes(gzip.compress((tmp_path / "questions").read_bytes()))
    dataset = QuestionFile(DirectoryDataset(collection), path, "mine")
    answers = dataset.answers()
    assert answers.to_dict("list") == {"qid": ["0", "1", "2"], "query": [q for q, _ in QUESTIONS], "answers": [a for _, a in QUESTIONS]}
    assert dataset.queries().to_dict("list") == {"qid": ["0", "1", "2"], "query": [q for q, _ in QUESTIONS]}
    assert list(dataset.documents()) == list(DirectoryDataset(collection).documents())


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("a question\t['x']\nno answers\n", 2, "a line 'question<tab>"),
        ("a question\t__import__('os')\n", 1, "a Python list of strings"),
        ("a question\t[1]\n", 1, "a Python list of strings"),
        ("\t['x']\n", 1, "a line 'question<tab>"),
        ('{"question": "q", "answer": "x"}\n', 1, "a list of strings"),
        ('{"question": "q"}\n', 1, "a list of strings"),
        ('[{"question": "q", "answers": ["a"]}, 3]', 2, "a list of strings"),
    ],
)
def test_what_is_no_question_is_named(text: str, line: int, expected: str, collection: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(MalformedFileError, match=expected) as error:
        QuestionFile(DirectoryDataset(collection), tmp_path / "file").answers()
    assert f"line {line}" in str(error.value)


def test_what_is_not_there_is_named(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="is not a file of questions"):
        QuestionFile(DirectoryDataset(collection), tmp_path / "none")
    write_dpr(tmp_path / "file")
    dataset = QuestionFile(DirectoryDataset(collection), tmp_path / "file")
    with pytest.raises(DatasetNotFoundError, match="no split 'dev'"):
        dataset.queries("dev")
    with pytest.raises(DatasetNotFoundError, match="has no qrels"):
        dataset.qrels()
    (tmp_path / "file").write_text("[1")
    with pytest.raises(MalformedFileError, match="file, line 1"):
        QuestionFile(DirectoryDataset(collection), tmp_path / "file").answers()


def test_the_fingerprint_follows_both(collection: Path, tmp_path: Path) -> None:
    write_dpr(tmp_path / "file")
    corpus = DirectoryDataset(collection)
    before = QuestionFile(corpus, tmp_path / "file")
    assert before.corpus_fingerprint == corpus.corpus_fingerprint
    assert before.fingerprint != corpus.fingerprint
    (tmp_path / "file").write_text("another\t['x']\n")
    assert QuestionFile(corpus, tmp_path / "file").fingerprint not in (before.fingerprint, corpus.fingerprint)


def test_test_questions_are_found_beside_the_collections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCE_IR_DATA", str(tmp_path))
    with pytest.raises(DatasetNotFoundError, match=r"nq-test.qa.csv.*topics.nq.test.txt"):
        load_dataset("nq")
    (tmp_path / "qa-topics").mkdir()
    write_topics(tmp_path / "qa-topics" / "topics.nq.test.txt")
    assert load_dataset("nq/test").queries()["query"].tolist() == [question for question, _ in QUESTIONS]
    write_dpr(tmp_path / "trivia-test.qa.csv")
    assert load_dataset("triviaqa").name == "triviaqa"


@pytest.mark.parametrize(
    "entry", ['{"question": "\\ud800", "answers": []}', '{"question": "who", "answers": ["\\udc00"]}', '["\\ud800"]', "1"]
)
@pytest.mark.parametrize("form", ["[{}]", "{}"])
def test_half_surrogate_pairs_are_refused_in_every_form(tmp_path: Path, entry: str, form: str) -> None:
    (tmp_path / "x").write_text(form.replace("{}", entry), encoding="utf-8")
    with pytest.raises(MalformedFileError, match="line 1"):
        list(read_questions(tmp_path / "x"))
