"""Documents that cannot be used: refused by name, or left out and counted."""

from __future__ import annotations

import json
import logging
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ance_ir.datasets import DirectoryDataset, DocumentStore
from ance_ir.digests import hash_files
from ance_ir.errors import DatasetError, MalformedFileError, UsageError
from tests.unit.datasets.test_directory import compress

LINES = [
    b'{"docno": "a", "text": "one"}',
    b'{"docno": "b", "text": "\xff\xfe"}',
    b"",
    b'{"docno": "b", "title": "two", "text": ""}',
    b"[7]",
    b'{"docno": "c", "text": " \\n"}',
    b'{"docno": "a", "text": "another"}',
    b'{"docno": "d", "title": " ", "text": ""}',
    b'{"docno": "e"}',
    b'{"docno": "b", "text": "two"}',
    b'{"docno": "a", "text": "one"}',
    b'{"docno": "f", "text": "six"}',
]
GOOD = [{"docno": "a", "text": "one"}, {"docno": "b", "title": "two", "text": ""}, {"docno": "f", "text": "six"}]
COUNTS = {"not UTF-8": 1, "no document": 2, "empty text": 2, "duplicate docno": 3}


@pytest.fixture
def spoilt(collection: Path) -> Path:
    (collection / "corpus.jsonl").write_bytes(b"\n".join(LINES) + b"\n")
    return collection


@pytest.mark.parametrize("gzipped", [False, True])
def test_what_cannot_be_used_is_left_out_and_told_of_once(spoilt: Path, caplog: pytest.LogCaptureFixture, gzipped: bool) -> None:
    if gzipped:
        compress(spoilt)
    with caplog.at_level(logging.WARNING):
        store = DirectoryDataset(spoilt).store(on_error="skip")
    assert list(store) == GOOD
    assert store.left_out == COUNTS
    assert store.numbers(["a", "b", "c", "d", "e", "f"]).tolist() == [0, 1, -1, -1, -1, 2]
    (told,) = (record.message for record in caplog.records)
    assert told.startswith("left out of the corpus: 1 × not UTF-8, first ")
    assert re.search(r"corpus.jsonl(\.gz)?, line 2: expected UTF-8, found .*; 2 × no document, first .*, line 5: expected a JSON", told)
    assert told.endswith("; 2 × empty text, first 'c'; 3 × duplicate docno, first 'a'")
    again = DirectoryDataset(spoilt).store(on_error="skip")
    assert (again.left_out, again.folder) == (COUNTS, store.folder)
    assert [record.message for record in caplog.records] == [told, told], "whoever reads the corpus hears of it"


def test_without_leave_the_first_is_named(spoilt: Path) -> None:
    """One after the other is taken out of the corpus."""
    path, lines = spoilt / "corpus.jsonl", list(LINES)

    def refused() -> str:
        path.write_bytes(b"\n".join(lines))
        with pytest.raises(DatasetError) as caught:
            DirectoryDataset(spoilt).store()
        return str(caught.value)

    for line, expected in ((1, "UTF-8"), (4, "a JSON object"), (8, "a string under the key 'text'")):
        assert re.search(rf"corpus\.jsonl, line {line + 1}: expected {expected}, found ", refused())
        lines[line] = b""
    assert "the docno 'a' occurs more than once in the corpus" in refused()


def test_texts_that_are_empty_are_kept_and_told_of(collection: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [b'{"docno": "a", "text": "one"}', LINES[5], LINES[7]]
    (collection / "corpus.jsonl").write_bytes(b"\n".join(lines))
    with caplog.at_level(logging.WARNING):
        store = DirectoryDataset(collection).store()
    assert [document["docno"] for document in store] == ["a", "c", "d"]
    assert store.left_out == {}
    assert [record.message for record in caplog.records] == ["kept in the corpus: 2 × empty text, first 'c'"]


def test_a_corpus_without_fault_is_the_same_under_every_policy(collection: Path, caplog: pytest.LogCaptureFixture) -> None:
    stores = [DirectoryDataset(collection).store(on_error=policy) for policy in ("raise", "skip")]
    assert stores[0].folder != stores[1].folder
    assert stores[0].fingerprint == stores[1].fingerprint
    files = [sorted(path for path in store.folder.iterdir() if path.is_file()) for store in stores]
    assert hash_files(files[0]) == hash_files(files[1])
    assert not caplog.records


def test_the_policy_is_kept_with_the_corpus(spoilt: Path) -> None:
    with pytest.raises(MalformedFileError, match="line 2"):
        DirectoryDataset(spoilt).store()
    with pytest.raises(MalformedFileError, match="line 2"):
        list(DirectoryDataset(spoilt).usable_documents())
    strict = DirectoryDataset(spoilt).corpus_key
    assert len(DirectoryDataset(spoilt).store(on_error="skip")) == 3
    assert list(DirectoryDataset(spoilt).usable_documents()) == GOOD
    assert list(DirectoryDataset(spoilt).store()) == GOOD
    assert DirectoryDataset(spoilt).corpus_key != strict
    with pytest.raises(MalformedFileError, match="line 2"):
        DirectoryDataset(spoilt).store(on_error="raise")
    assert len(DirectoryDataset(spoilt).store()) == 3, "what failed is no policy"
    (spoilt / "corpus.jsonl").write_bytes(LINES[0])
    assert DirectoryDataset(spoilt).on_error == "raise", "another corpus"


@pytest.mark.parametrize(
    ("document", "kind", "found"),
    [
        ({"docno": 7, "text": "t"}, "no document", "7"),
        ({"text": "t"}, "no document", "None"),
        ({"docno": "x", "text": None}, "no document", "None"),
        ({"docno": "x", "title": "t"}, "no document", "None"),
        ({"docno": " ", "text": "t"}, "no document", "' '"),
        ({"docno": "x y", "text": "t"}, "no document", "x y"),
        ({"docno": "x\0", "text": "t"}, "no document", "x"),
        ({"docno": "x", "title": 1984, "text": "t"}, "no document", "1984"),
        ({"docno": "x", "url": True, "text": "t"}, "no document", "True"),
        ({"docno": "x", "text": "a\udc80b"}, "not UTF-8", "'x'"),
        ({"docno": "x\ud800", "text": "t"}, "not UTF-8", "x"),
        ({"docno": "x", "text": "t", "url": "\ud800"}, "not UTF-8", "'url'"),
    ],
)
def test_a_stream_is_told_what_is_wrong_and_where(tmp_path: Path, document: dict[str, Any], kind: str, found: str) -> None:
    given = [{"docno": "a", "text": "one"}, document, {"docno": "b", "text": "two"}]
    with pytest.raises(DatasetError, match=f"^document 2 of the corpus.*{found}"):
        DocumentStore.build(iter(given), tmp_path / "store")
    store = DocumentStore.build(iter(given), tmp_path / "store", on_error="skip")
    assert [one["docno"] for one in store] == ["a", "b"]
    assert store.left_out == {kind: 1}


def test_white_space_around_a_docno_is_no_part_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = [{"docno": docno, "text": "one"} for docno in (" a", "b\u00a0", "\ufeffc", "d\n", "e")]
    store = DocumentStore.build(given, tmp_path / "store")
    assert [one["docno"] for one in store] == list("abcde")
    (record,) = caplog.records
    assert "4 ids" in record.message
    assert "' a'" in record.message
    assert store.fingerprint == DocumentStore.build([{"docno": docno, "text": "one"} for docno in "abcde"], tmp_path / "clean").fingerprint


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_what_is_no_field_of_a_document_or_missing_is_not_kept(tmp_path: Path, missing: object) -> None:
    given = {"docno": "a", "text": "one", "title": missing, "url": None, "doc_vec": b"\x00", "lang": "en"}
    assert list(DocumentStore.build([given], tmp_path / "store")) == [{"docno": "a", "text": "one"}]


def test_nothing_left_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="the corpus holds no documents"):
        DocumentStore.build([{"docno": "a", "text": ""}, {"docno": "", "text": "b"}], tmp_path / "stores" / "store", on_error="skip")
    assert list((tmp_path / "stores").iterdir()) == []
    with pytest.raises(UsageError, match="on_error 'ignore'"):
        DocumentStore.build([], tmp_path / "store", on_error="ignore")  # type: ignore[arg-type]


def test_any_corpus_is_screened_as_one_document_after_the_other(tmp_path: Path) -> None:
    """The reference holds all docnos in a set."""
    choose = random.Random(0)
    for number in range(30):
        docnos = [f"d{choose.randrange(choose.choice([3, 40, 2000]))}" for _ in range(choose.randrange(1, 300))]
        texts = [choose.choice(["", "  ", "a cat", "größe", "\ud800", None]) for _ in docnos]
        given = [{"docno": docno, "text": text} for docno, text in zip(docnos, texts, strict=True)]
        kept, counts = dict[str, str](), Counter[str]()
        for docno, text in zip(docnos, texts, strict=True):
            if text is None or text == "\ud800":
                counts["no document" if text is None else "not UTF-8"] += 1
            elif not text.strip():
                counts["empty text"] += 1
            elif docno in kept:
                counts["duplicate docno"] += 1
            else:
                kept[docno] = text
        if not kept:
            continue
        store = DocumentStore.build(iter(given), tmp_path / f"{number}", on_error="skip")
        expected = [{"docno": docno, "text": text} for docno, text in kept.items()]
        assert list(store) == expected
        assert store.left_out == dict(counts)
        assert store.numbers(list(kept)).tolist() == list(range(len(kept)))
        fresh = DocumentStore.build(expected, tmp_path / "fresh")
        assert (store.fingerprint, store.text_hashes.tolist()) == (fresh.fingerprint, fresh.text_hashes.tolist())
        assert sorted(path.name for path in store.folder.iterdir()) == sorted(path.name for path in fresh.folder.iterdir())


def test_a_line_of_a_file_is_written_as_it_is_read(collection: Path) -> None:
    documents = [{"docno": "a", "title": "", "url": "u", "text": "x\u2028y\r\n\tz"}]
    (collection / "corpus.jsonl").write_text("".join(json.dumps(document) + "\r\n" for document in documents), encoding="utf-8")
    assert list(DirectoryDataset(collection).store()) == documents
