from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ance_ir.datasets import DirectoryDataset, DocnoMap, DocumentStore
from ance_ir.datasets.store import docnos as docnos_module
from ance_ir.errors import DatasetError, DocumentNotFoundError


def texts(docnos: list[str]) -> list[dict[str, str]]:
    return [{"docno": docno, "text": f"text of {docno}"} for docno in docnos]


def test_lookups(tmp_path: Path, documents: list[dict[str, str]]) -> None:
    store = DocumentStore.build(documents, tmp_path / "store")
    assert len(store) == 3
    assert list(store) == documents
    assert store[1] == documents[1]
    numbers = store.numbers(["3", "no", "größe/日本", "3", ""])
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [2, -1, 1, 2, -1]
    docnos = store.docnos(np.array([[2, 0], [1, 1]]))
    assert docnos.dtype == object
    assert docnos.tolist() == [["3", "d1"], ["größe/日本", "größe/日本"]]
    assert store.get(["3", "d1", "3"]) == [documents[2], documents[0], documents[2]]
    assert store.get([]) == []
    assert store.numbers([]).shape == store.docnos([]).shape == (0,)


@pytest.mark.parametrize("number", [-1, 3])
def test_numbers_outside_the_corpus_are_refused(tmp_path: Path, documents: list[dict[str, str]], number: int) -> None:
    store = DocumentStore.build(documents, tmp_path / "store")
    with pytest.raises(IndexError, match=rf"{number} is not in 0 ... 2"):
        store[number]
    with pytest.raises(IndexError, match=rf"{number} is not in 0 ... 2"):
        store.docnos(np.array([number]))


def test_missing_docnos_are_named_five_at_most(tmp_path: Path, documents: list[dict[str, str]]) -> None:
    store = DocumentStore.build(documents, tmp_path / "store")
    with pytest.raises(DocumentNotFoundError, match=r"\b1\b.*\b3\b.*'x'"):
        store.get(["d1", "x", "x"])
    with pytest.raises(DocumentNotFoundError, match=r"7 docno.*'x0', 'x1', 'x2', 'x3', 'x4', …$"):
        store.get([f"x{number}" for number in range(7)])


@pytest.mark.parametrize(
    "docnos",
    [
        ["only"],
        ["7"],
        [str(number) for number in range(600)],
        [f"{number:05}" for number in range(600)],
        [str(2**40 + number) for number in range(600)],
        [f"MED-{number}" for number in range(10, 900)],
        [("D" if number % 3 else "") + str(number * 3) for number in range(600)],
        [f"é{number}" for number in range(300)] + [f"日本{number}" for number in range(300)],
        ["a" * (20 * number + 1) for number in range(50)],
        ["a#0", "e", "E", "é", "a/b", "<http://a>", "#"],
    ],
    ids=lambda docnos: docnos[0][:10],
)
def test_any_kind_of_docno(tmp_path: Path, docnos: list[str]) -> None:
    store = DocumentStore.build(texts(docnos), tmp_path / "store")
    assert store.numbers(docnos).tolist() == list(range(len(docnos)))
    assert store.docnos(np.arange(len(docnos))).tolist() == docnos
    near = ["", "x", "00", "-1", "1.0", "MED-", "MED-5", "MED-010", "D1", "99999999999999999999", "0" + docnos[0], docnos[0] + "\0"]
    near = [docno for docno in near if docno not in docnos]
    assert store.numbers(near).tolist() == [-1] * len(near)


def test_docnos_of_equal_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docnos_module, "hash_text", len)
    written = DocnoMap.write(["aa", "bb", "c", "dd"], tmp_path)
    assert list(written) == ["aa", "bb", "c", "dd"]
    assert written.numbers(["dd", "c", "bb", "aa", "ee", "f", "ggg"]).tolist() == [3, 2, 1, 0, -1, -1, -1]
    with pytest.raises(DatasetError, match="'aa' occurs more than once"):
        DocnoMap.write(["aa", "bb", "aa"], tmp_path)


@pytest.mark.parametrize("docnos", [["a", "b", "a"], ["x"] * 5])
def test_a_docno_that_occurs_twice_is_refused(tmp_path: Path, docnos: list[str]) -> None:
    with pytest.raises(DatasetError, match=f"{docnos[0]!r} occurs more than once"):
        DocumentStore.build(texts(docnos), tmp_path / "stores" / "store")
    assert list((tmp_path / "stores").iterdir()) == []


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no documents"):
        DocumentStore.build([], tmp_path / "stores" / "store")
    assert list((tmp_path / "stores").iterdir()) == []


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def cut_short() -> Iterator[dict[str, str]]:
        yield {"docno": "a", "text": "a"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DocumentStore.build(cut_short(), tmp_path / "stores" / "store")
    assert list((tmp_path / "stores").iterdir()) == []
    assert not DocumentStore.is_complete(tmp_path / "stores" / "store")


def test_text_hashes_find_duplicates_by_text(tmp_path: Path, documents: list[dict[str, str]]) -> None:
    hashes = DocumentStore.build([*documents, {"docno": "x", "text": "Cats Cats sleep all day"}], tmp_path / "store").text_hashes
    assert hashes.dtype == np.uint64
    assert not hashes.flags.owndata
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 3


def test_text_hashes_stay_the_same_from_release_to_release(tmp_path: Path) -> None:
    store = DocumentStore.build([{"docno": "a", "title": "Ä", "text": " b\n c "}], tmp_path / "store")
    assert store.text_hashes.tolist() == [16234087247834027364]


def test_the_store_is_built_once(collection: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = DirectoryDataset(collection)
    store = dataset.store()
    assert store.folder == cache / "documents" / dataset.corpus_fingerprint
    monkeypatch.setattr(DocumentStore, "build", None)
    assert list(DirectoryDataset(collection).store()) == list(store)
    (collection / "queries.tsv").write_text("q1\tother\n", encoding="utf-8")
    assert len(DirectoryDataset(collection).store()) == 3


def test_an_unfinished_store_is_built_anew(collection: Path) -> None:
    store = DirectoryDataset(collection).store()
    (store.folder / "manifest.json").unlink()
    (store.folder / "documents.jsonl").write_bytes(b"")
    assert len(list(DirectoryDataset(collection).store())) == 3


def test_progress_shows_only_when_asked(collection: Path, capfd: pytest.CaptureFixture[str]) -> None:
    documents = DirectoryDataset(collection).documents()
    DocumentStore.build(documents, collection / "quiet")
    assert capfd.readouterr() == ("", "")
    DocumentStore.build(documents, collection / "loud", verbose=True)
    assert "documents" in capfd.readouterr().err


def test_a_store_is_pickled_by_its_path(tmp_path: Path, documents: list[dict[str, str]]) -> None:
    store = DocumentStore.build(documents, tmp_path / "store")
    assert store.get(["d1"]) and len(store.text_hashes)
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    assert list(pickle.loads(pickled)) == documents  # noqa: S301


def test_the_fingerprint_follows_every_field_and_the_order(tmp_path: Path, documents: list[dict[str, str]]) -> None:
    def fingerprint(some: list[dict[str, str]]) -> str:
        return DocumentStore.build(some, tmp_path / "store").fingerprint

    first = fingerprint(documents)
    assert fingerprint(documents) == first
    others = [documents[::-1], documents[:2], [{**documents[0], "title": "Cats ", "text": "sleep  all day."}, *documents[1:]]]
    others += [[{**documents[0], field: documents[0][field][::-1]}, *documents[1:]] for field in documents[0]]
    assert len({first, *map(fingerprint, others)}) == 1 + len(others)


def test_a_policy_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"docno": "d1", "text": "a"}\n')
    dataset = DirectoryDataset(tmp_path)
    assert dataset.on_error == "raise"
    dataset.store(on_error="skip")
    assert dataset.on_error == "skip"
    for content in ("{", "[]", '{"on_error": 1}', '{"on_error": "x"}'):
        dataset._policy_file.write_text(content)
        with pytest.raises(DatasetError, match=dataset._policy_file.name):
            _ = dataset.on_error


def test_documents_that_are_damaged_are_named_by_their_folder(tmp_path: Path, documents: list[dict[str, str]]) -> None:
    store = DocumentStore.build(documents, tmp_path / "store")
    content = (tmp_path / "store" / "documents.jsonl").read_bytes()
    (tmp_path / "store" / "documents.jsonl").write_bytes(b"x" * len(content))
    with pytest.raises(DatasetError, match="store"):
        _ = store[0]
    (tmp_path / "store" / "manifest.json").write_text("[" * 100_000)
    assert not DocumentStore.is_complete(tmp_path / "store")
