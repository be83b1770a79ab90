from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import DirectoryDataset
from ance_ir.digests import hash_files
from ance_ir.errors import DatasetError, DatasetNotFoundError, MalformedFileError


def compress(folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


@pytest.mark.parametrize("gzipped", [False, True])
def test_everything_is_read(collection: Path, documents: list[dict[str, str]], gzipped: bool) -> None:
    if gzipped:
        compress(collection)
    dataset = DirectoryDataset(collection)
    assert dataset.name == "pets"
    assert dataset.splits == ("test", "dev")
    assert list(dataset.documents()) == documents
    assert dataset.queries().to_dict("list") == {"qid": ["q1", "q2"], "query": ["who sleeps", "who barks"]}
    assert dataset.queries("dev").to_dict("list") == {"qid": ["q9"], "query": ["who"]}
    qrels = dataset.qrels()
    assert qrels.to_dict("list") == {"qid": ["q1", "q1", "q2"], "docno": ["d1", "3", "größe/日本"], "label": [2, 1, -1]}
    assert str(qrels["label"].dtype) == "int64"
    assert dataset.answers().to_dict("list") == {"qid": ["q1"], "query": ["who sleeps"], "answers": [["cats", "a cat"]]}
    suffix = ".gz" if gzipped else ""
    assert dataset.runs() == {"bm25": collection / f"run.bm25.txt{suffix}"}
    assert dataset.runs("dev") == {"bm25": collection / f"run.bm25.dev.txt{suffix}"}
    assert dataset.runs("train") == {}


def test_documents_can_be_read_again_while_they_are_read(collection: Path, documents: list[dict[str, str]]) -> None:
    stream = DirectoryDataset(collection).documents()
    first = iter(stream)
    next(first)
    assert list(stream) == documents
    assert list(first) == documents[1:]
    assert stream.count is None


def test_unknown_keys_are_left_out_and_windows_line_ends_are_fine(collection: Path) -> None:
    (collection / "corpus.jsonl").write_bytes(b'{"docno": "d", "text": "t", "metadata": {"a": 1}}\r\n')
    (collection / "queries.tsv").write_bytes(b"q1\twho\r\nq2\t\r\n")
    dataset = DirectoryDataset(collection)
    assert list(dataset.documents()) == [{"docno": "d", "text": "t"}]
    assert dataset.queries()["query"].tolist() == ["who", ""]


def test_empty_files_give_typed_empty_frames(collection: Path) -> None:
    for name in ("queries.tsv", "qrels.txt", "answers.jsonl"):
        (collection / name).write_text("\n", encoding="utf-8")
    dataset = DirectoryDataset(collection)
    text = pd.Series(["x"]).dtype  # object before pandas 3
    assert dataset.queries().dtypes.to_dict() == {"qid": text, "query": text}
    assert dataset.qrels().dtypes.to_dict() == {"qid": text, "docno": text, "label": np.int64}
    assert list(dataset.answers()) == ["qid", "query", "answers"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{docno}", "a JSON object, found '{docno}'"),
        (b'["d", "text"]', "a JSON object"),
        (b'{"text": "t"}', "a string under the key 'docno'"),
        (b'{"docno": "d"}', "a string under the key 'text'"),
        (b'{"docno": 7.5, "text": "t"}', "a string under the key 'docno'"),
        (b'{"docno": "d", "text": null}', "a string under the key 'text'"),
        (b'{"docno": "d", "text": "t", "title": 1984}', "a string under the key 'title'"),
        (b'{"docno": "d", "text": "t", "url": true}', "a string under the key 'url'"),
        (b'{"docno": "d e", "text": "t"}', "white space"),
        (b'{"docno": "d", "text": "t", "n": ' + b"1" * 5000 + b"}", "a JSON object"),
        (b'{"docno": ' + b"[" * 100_000, "a JSON object"),
        (b'{"docno": " ", "text": "t"}', "a docno that is not empty"),
        (b'{"docno": "d", "text": "\xff"}', "UTF-8"),
        (b'{"docno": "d", "text": "\\ud800"}', "half surrogate"),
    ],
)
@pytest.mark.parametrize("gzipped", [False, True])
def test_a_bad_document_is_named_by_file_and_line(collection: Path, line: bytes, expected: str, gzipped: bool) -> None:
    path = collection / "corpus.jsonl"
    path.write_bytes(b'{"docno": "a", "text": "a"}\n\n' + line + b"\n")
    if gzipped:
        compress(collection)
    with pytest.raises(MalformedFileError, match=rf"corpus\.jsonl(\.gz)?, line 3: expected .*{expected}"):
        list(DirectoryDataset(collection).documents())


def test_a_whole_surrogate_pair_is_text(collection: Path) -> None:
    (collection / "corpus.jsonl").write_bytes(b'{"docno": "d", "text": "\\ud83d\\ude00"}\n')
    assert next(iter(DirectoryDataset(collection).documents()))["text"] == "😀"


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("queries.tsv", "q2 no tab", "2 columns"),
        ("queries.tsv", "q2\ta\tb", "2 columns"),
        ("queries.tsv", "\tno qid", "a qid that is not empty"),
        ("queries.tsv", "q1\tagain", "a qid that no line before it has, found 'q1'"),
        ("qrels.txt", "q1 0 d1", "4 columns"),
        ("qrels.txt", "q1 0 d1 1 x", "4 columns"),
        ("qrels.txt", "q1 0 d1 high", "an integer label from .* in column 4, found 'high'"),
        ("qrels.txt", "q1 0 d1 1.5", "an integer label"),
        ("answers.jsonl", '{"qid": "q2", "question": "?"}', "a list of strings under the key 'answers'"),
        ("answers.jsonl", '{"qid": "q2", "question": "?", "answers": [1]}', "a list of strings"),
        ("answers.jsonl", '{"qid": "q2", "question": "?", "answers": "a"}', "a list of strings"),
        ("answers.jsonl", '{"qid": "q2", "answers": []}', "a string under the key 'question'"),
        ("answers.jsonl", '{"qid": "q1", "question": "?", "answers": []}', "a qid that no line before it has"),
    ],
)
def test_other_bad_lines_are_named_too(collection: Path, name: str, line: str, expected: str) -> None:
    path = collection / name
    before = path.read_text(encoding="utf-8")
    path.write_text(before + line + "\n", encoding="utf-8")
    dataset = DirectoryDataset(collection)
    read = {"queries.tsv": dataset.queries, "qrels.txt": dataset.qrels, "answers.jsonl": dataset.answers}[name]
    with pytest.raises(MalformedFileError, match=rf"{name}, line {before.count(chr(10)) + 1}: expected {expected}"):
        read()


@pytest.mark.parametrize("damage", ["short", "altered", "garbled", "empty"])
def test_a_damaged_gzip_is_named(collection: Path, damage: str) -> None:
    path = collection / "corpus.jsonl"
    plain = path.read_bytes() * 50
    whole = gzip.compress(plain)
    contents = {
        "short": whole[:-20],
        "altered": whole[:-8] + b"\xff\xff\xff\xff" + whole[-4:],
        "garbled": whole[:10] + b"\xff" * 9 + whole[19:],
        "empty": b"",
    }[damage]
    path.unlink()
    path.with_name("corpus.jsonl.gz").write_bytes(contents)
    with pytest.raises(DatasetError, match=r"corpus\.jsonl\.gz.*gzip"):
        list(DirectoryDataset(collection).documents())


def test_missing_parts_say_what_was_looked_for_and_what_there_is(collection: Path, tmp_path: Path) -> None:
    dataset = DirectoryDataset(collection)
    with pytest.raises(DatasetNotFoundError, match=r"queries.train.tsv.*pets.*: test, dev"):
        dataset.queries("train")
    with pytest.raises(DatasetNotFoundError, match=r"qrels.dev.txt.*: test$"):
        dataset.qrels("dev")
    (collection / "answers.jsonl").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"answers.jsonl.*: none"):
        DirectoryDataset(collection).answers()
    (collection / "corpus.jsonl").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"no corpus\.jsonl"):
        DirectoryDataset(collection)
    with pytest.raises(DatasetNotFoundError, match=r"nowhere is not a directory"):
        DirectoryDataset(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.tsv", "qrels.txt", "answers.jsonl", "run.bm25.txt", "queries.dev.tsv"])
def test_the_same_file_plain_and_gzipped_is_ambiguous(collection: Path, name: str) -> None:
    (collection / f"{name}.gz").write_bytes(b"")
    with pytest.raises(DatasetError, match=rf"both {name} and {name}.gz"):
        DirectoryDataset(collection)


def test_the_fingerprint_follows_contents_but_not_runs_or_place(collection: Path, tmp_path: Path) -> None:
    first = DirectoryDataset(collection).fingerprint
    (collection / "run.other.txt").write_text("", encoding="utf-8")
    moved = DirectoryDataset(collection.rename(tmp_path / "moved"))
    assert moved.fingerprint == first
    names = ("answers.jsonl", "corpus.jsonl", "qrels.txt", "queries.dev.tsv", "queries.tsv")
    assert first == hash_files(moved.folder / name for name in names), "stores, results and runs of earlier versions have these"
    assert moved.corpus_fingerprint == hash_files([moved.folder / "corpus.jsonl"])
    (moved.folder / "instances.jsonl").write_text('{"qid": "q1", "positives": ["d1"]}')
    for name in (*names, "instances.jsonl"):
        before = DirectoryDataset(moved.folder)
        _ = before.fingerprint, before.corpus_fingerprint
        with (moved.folder / name).open("a", encoding="utf-8") as stream:
            stream.write("\n")
        after = DirectoryDataset(moved.folder)
        assert after.fingerprint != before.fingerprint, name
        assert (after.corpus_fingerprint != before.corpus_fingerprint) == (name == "corpus.jsonl")


def test_a_dataset_and_its_documents_can_be_pickled(collection: Path, documents: list[dict[str, str]]) -> None:
    dataset = pickle.loads(pickle.dumps(DirectoryDataset(collection)))  # noqa: S301
    assert list(pickle.loads(pickle.dumps(dataset.documents()))) == documents  # noqa: S301
    assert repr(dataset) == "DirectoryDataset('pets')"


def test_it_shows_itself_without_reading_the_corpus(collection: Path) -> None:
    (collection / "corpus.jsonl").write_text("no corpus")
    dataset = DirectoryDataset(collection, "<pets>")
    assert repr(dataset) == "DirectoryDataset('<pets>')"
    shown = dataset._repr_html_()
    assert "&lt;pets&gt;" in shown and "<pets>" not in shown
    assert str(collection) in shown and "test, dev" in shown
