"""Documents are added and deleted, and their space is freed; the results are those of a new index."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.errors import DamagedIndexError, DatasetError, DocumentNotFoundError, FingerprintError, IndexingError, UsageError
from ance_ir.files import read_json
from ance_ir.indexes import AnceIndex, MaxP
from ance_ir.indexes.store import commit, updates
from ance_ir.indexes.store.vectors import VectorType
from ance_ir.models import Encoding, TextSettings
from tests.index_jobs import GROUP, add_groups, change_at_random, docnos, group, is_whole, live
from tests.processes import start
from tests.tiny import encoder

Row = dict[str, Any]
DIMENSION = 4
KILLS = 24
WHOLE = Encoding(model="m", fingerprint="f" * 64, similarity="dot", passages=None, precision="float32", text=TextSettings())
CUT = Encoding(model="m", fingerprint="f" * 64, similarity="dot", passages="MaxP(8, 3)", precision="float32", text=TextSettings())


def rows_of(docno: str, vectors: np.ndarray, encoding: Encoding | None) -> list[Row]:
    """A document as an index takes it."""
    if encoding is None:
        return [{"docno": docno, "doc_vec": vectors[0]}]
    if encoding.passages is None:
        return [{"docno": docno, "doc_vec": vectors[0], "encoding": encoding}]
    return [{"docno": f"{docno}#{place}", "doc_vec": vector, "encoding": encoding} for place, vector in enumerate(vectors)]


def found(index: AnceIndex, queries: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
    scores, numbers = index.search_vectors(queries, k)
    return [list(zip(index.docnos(row), scores_K.tolist(), strict=True)) for row, scores_K in zip(numbers, scores, strict=True)]


@pytest.mark.parametrize("encoding", [None, WHOLE, CUT], ids=["vectors", "documents", "passages"])
@pytest.mark.parametrize(("seed", "dtype"), [(0, "float32"), (1, "float32"), (2, "float16"), (3, "float16")])
def test_any_changes_leave_what_a_new_index_holds(tmp_path: Path, encoding: Encoding | None, dtype: VectorType, seed: int) -> None:
    choose, generator = random.Random(seed), np.random.default_rng(seed)

    def document() -> np.ndarray:  # small whole numbers: many ties
        return generator.integers(-2, 3, size=(choose.randint(1, 3), DIMENSION)).astype(np.float32)

    def rows(documents: dict[str, np.ndarray]) -> list[Row]:
        return [row for docno, vectors in documents.items() for row in rows_of(docno, vectors, encoding)]

    there = {f"d{number}": document() for number in range(8)}
    index = AnceIndex(tmp_path / "x", dtype=dtype).index(rows(there))
    queries = generator.integers(-2, 3, size=(6, DIMENSION)).astype(np.float32)
    for change in range(12):
        kind = choose.choice(["add", "delete", "replace", "compact"])
        if kind == "delete" and there:
            gone = choose.sample(sorted(there), choose.randint(1, min(4, len(there))))
            assert index.delete(gone) == len(gone)
            there = {docno: vectors for docno, vectors in there.items() if docno not in gone}
        elif kind == "compact" and there:
            index.compact()
            assert len(index.table.deleted) == 0
            assert len(index.vectors) == len(rows(there))
        else:
            again = choose.sample(sorted(there), min(2, len(there))) if kind == "replace" else []
            new = {docno: document() for docno in [*again, f"n{change}", f"m{change}"]}
            index.add(rows(new), replace=kind == "replace")
            there = {docno: vectors for docno, vectors in there.items() if docno not in new} | new
        index.verify()
        if there:
            expected = AnceIndex(tmp_path / "y", dtype=dtype, overwrite=True).index(rows(there))
            for k in (1, 3, 50):
                assert found(index, queries, k) == found(expected, queries, k)
            assert found(AnceIndex(tmp_path / "x"), queries, 5) == found(expected, queries, 5)
        assert len(index) == len(there)
        asked = [f"d{number}" for number in range(8)] + [f"n{number}" for number in range(12)]
        assert (index.numbers(asked) >= 0).tolist() == [docno in there for docno in asked]


def test_what_is_compacted_is_what_is_built_anew(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    documents = {f"d{number}": generator.normal(size=(1 + number % 3, DIMENSION)).astype(np.float32) for number in range(20)}
    rows = {docno: rows_of(docno, vectors, CUT) for docno, vectors in documents.items()}
    index = AnceIndex(tmp_path / "x").index(row for docno in list(documents)[:15] for row in rows[docno])
    index.add(row for docno in list(documents)[15:] for row in rows[docno])
    index.delete(["d3", "d0", "d17"])
    index.compact()
    expected = AnceIndex(tmp_path / "y").index(row for docno in documents if docno not in {"d3", "d0", "d17"} for row in rows[docno])
    for name in ("docno_map", "offsets", "text_hashes", "deleted", "searchable"):
        one, other = getattr(index.table, name), getattr(expected.table, name)
        if name == "docno_map":
            one, other = list(one), list(other)
        np.testing.assert_array_equal(one, other)
    everything = np.arange(len(expected.vectors))
    np.testing.assert_array_equal(index.vectors.get(everything), expected.vectors.get(everything))
    np.testing.assert_array_equal(index.table.tie_order(everything), expected.table.tie_order(everything))
    same = ("documents", "vectors", "most_passages", "dimension", "dtype", "encoding")
    assert {key: index.manifest[key] for key in same} == {key: expected.manifest[key] for key in same}
    assert len(index.vectors.shards) == 1
    names = {path.name for path in (tmp_path / "x").iterdir()}
    assert names == {"manifest.json", "pt_meta.json", "lock", index.vectors.shards[0].file, index.manifest["tables"]}, (
        "the old files are gone"
    )


def test_documents_of_a_model_are_added(tmp_path: Path) -> None:
    model = encoder(head=8)
    documents = [{"docno": str(number), "text": f"king cat {'dog ' * number}"} for number in range(9)]
    pipeline = MaxP(8, 3) >> model.passages()
    index = (pipeline >> AnceIndex(tmp_path / "x")).index(documents[:5])
    index.add(pipeline(documents[5:]))
    expected = (pipeline >> AnceIndex(tmp_path / "y")).index(documents)
    results, wanted = (one.retriever(model).search("king dog") for one in (index, expected))
    assert results["docno"].tolist() == wanted["docno"].tolist()
    np.testing.assert_allclose(results["score"], wanted["score"], rtol=1e-5)


REFUSALS: dict[str, tuple[Callable[[AnceIndex], object], type[BaseException], str]] = {
    "nothing to add": (lambda index: index.add([]), IndexingError, "there was no document to add"),
    "a document that is there": (
        lambda index: index.add([*rows_of("new", np.ones((1, 4)), CUT), *rows_of("b", np.ones((2, 4)), CUT)]),
        DatasetError,
        r"\b1 .*'b'",
    ),
    "a document twice": (
        lambda index: index.add([*rows_of("n", np.ones((1, 4)), CUT), *rows_of("n", np.ones((1, 4)), CUT)]),
        DatasetError,
        "'n' occurs more than once",
    ),
    "another model": (
        lambda index: index.add(rows_of("n", np.ones((1, 4)), Encoding(**{**vars(CUT), "fingerprint": "g" * 64}))),
        FingerprintError,
        r"was made by m \(f{12}\) with MaxP\(8, 3\), row 'n#0' by m \(g{12}\) with MaxP\(8, 3\); add documents with the same model",
    ),
    "other passages": (lambda index: index.add(rows_of("n", np.ones((1, 4)), WHOLE)), FingerprintError, "with None; add documents with"),
    "no model": (lambda index: index.add(rows_of("n", np.ones((1, 4)), None)), FingerprintError, "row 'n'"),
    "another dimension": (
        lambda index: index.add(rows_of("n", np.ones((1, 5)), CUT)),
        IndexingError,
        "holds vectors of 4 dimensions, row 'n#0' has 5",
    ),
    "not a number": (lambda index: index.add(rows_of("n", np.full((1, 4), np.nan), CUT)), IndexingError, "not a number"),
    "an unknown document to delete": (
        lambda index: index.delete(["a", "z", "y"]),
        DocumentNotFoundError,
        "does not hold 2 of the documents to delete, e.g. 'z'; nothing was deleted",
    ),
    "a deleted document to delete": (lambda index: index.delete(["c"]), DocumentNotFoundError, "e.g. 'c'"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_is_refused_changes_nothing(tmp_path: Path, refusal: str) -> None:
    index = AnceIndex(tmp_path / "x").index(row for docno in "abc" for row in rows_of(docno, np.ones((2, 4)), CUT))
    index.delete(["c"])
    before = {path: path.read_bytes() for path in (tmp_path / "x").rglob("*") if path.is_file()}
    change, error, message = REFUSALS[refusal]
    with pytest.raises(error, match=message):
        change(index)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_missing_documents_may_be_left_out_of_a_deletion(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(group(0))
    assert index.delete(["0-1", "gone", "0-1"], missing=True) == 1
    assert index.delete(["0-1"], missing=True) == 0
    assert len(index) == GROUP - 1


def test_an_index_may_lose_all_documents(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(group(0))
    index.delete(docnos(0))
    scores, numbers = index.search_vectors(np.ones((2, 4), dtype=np.float32), 3)
    assert (len(index), scores.shape, numbers.shape) == (0, (2, 0), (2, 0))
    with pytest.raises(IndexingError, match=re.escape(str(tmp_path / "x"))):
        index.compact()
    index.add(group(0))
    index.compact()
    assert is_whole(index)
    assert len(index) == GROUP


def test_who_has_an_index_open_keeps_what_it_has(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(group(0))
    reader = AnceIndex(tmp_path / "x")
    assert len(live(reader)) == GROUP
    index.add(group(1))
    index.delete(docnos(0))
    index.compact()
    assert sorted(live(reader)) == sorted(docnos(0))
    assert reader.numbers(docnos(0)).min() >= 0
    assert sorted(live(AnceIndex(tmp_path / "x"))) == sorted(docnos(1))


def test_an_index_that_changes_while_it_is_opened_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = AnceIndex(tmp_path / "x").index(group(0))
    from ance_ir.indexes.store import snapshot

    read, changed = snapshot.read_manifest, []

    def changing(folder: Path) -> dict[str, Any]:
        manifest = read(folder)
        if not changed:
            changed.append(1)
            index.add(group(1)).compact()
        return manifest

    monkeypatch.setattr(snapshot, "read_manifest", changing)
    assert sorted(live(AnceIndex(tmp_path / "x"))) == sorted(docnos(0) + docnos(1))


def test_many_shards_are_brought_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "MOST_SHARDS", 4)
    index = AnceIndex(tmp_path / "x").index(group(0))
    for number in range(1, 12):
        index.add(group(number))
        assert len(index.vectors.shards) <= 4
    assert is_whole(index)
    assert len(index) == 12 * GROUP


def test_a_full_disk_leaves_the_index_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = AnceIndex(tmp_path / "x").index(group(0))
    for change in (lambda: index.add(group(1)), lambda: index.delete(["0-0"]), lambda: index.compact()):
        for name in ("save_array", "write_json"):
            with monkeypatch.context() as patched:

                def full(path: Path, *_: Any) -> None:
                    raise OSError(28, "No space left on device", str(path))

                patched.setattr(commit, name, full)
                if name == "save_array":
                    patched.setattr("ance_ir.indexes.store.table.save_array", full)
                with pytest.raises(OSError, match="No space left"):
                    change()
            assert sorted(live(AnceIndex(tmp_path / "x"))) == sorted(docnos(0))
            AnceIndex(tmp_path / "x").verify()
    index.add(group(1))
    assert is_whole(AnceIndex(tmp_path / "x"))
    assert not [path for path in (tmp_path / "x").glob("vectors-*") if path.name not in {s.file for s in index.vectors.shards}]


@pytest.mark.slow
def test_readers_never_see_half_a_change(tmp_path: Path) -> None:
    AnceIndex(tmp_path / "x").index(group(0))
    process = start(change_at_random, tmp_path / "x", 1, 16)
    seen = set()
    while process.is_alive():
        index = AnceIndex(tmp_path / "x")
        assert is_whole(index)
        seen.add(index.manifest.get("generation", 0))
    process.join()
    assert process.exitcode == 0
    assert len(seen) > 3, "the reader looked too rarely"


def test_nothing_is_lost_when_two_add_at_once(tmp_path: Path) -> None:
    AnceIndex(tmp_path / "x").index(group(0))
    processes = [start(add_groups, tmp_path / "x", first, 10) for first in (1, 11)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    index = AnceIndex(tmp_path / "x")
    assert is_whole(index)
    assert len(index) == 21 * GROUP


@pytest.mark.slow
def test_an_index_survives_kills_at_any_instant(tmp_path: Path) -> None:
    AnceIndex(tmp_path / "x").index(group(0))
    instants, generation = random.Random(0), 0
    for kill in range(KILLS):
        process = start(change_at_random, tmp_path / "x", kill, 1000)
        while read_json(tmp_path / "x" / "manifest.json").get("generation", 0) == generation:
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(instants.uniform(0, 0.1))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        index = AnceIndex(tmp_path / "x")
        assert is_whole(index)
        index.verify()
        generation = index.manifest["generation"]
    index = AnceIndex(tmp_path / "x")
    index.add(group(50))
    named = {shard.file for shard in index.vectors.shards} | {"manifest.json", "pt_meta.json", "lock", index.manifest["tables"]}
    assert {path.name for path in (tmp_path / "x").iterdir()} - {index.manifest["deleted"]} == named, "nothing is left behind"


def test_an_addition_may_have_longer_documents_and_larger_vectors(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x", dtype="float16").index(rows_of("a", np.ones((1, 4)), CUT))
    index.add(rows_of("b", np.full((3, 4), 20.0), CUT))
    assert (index.manifest["most_passages"], index.manifest["largest_norm"]) == (3, 40.0)
    index.compact()
    assert (index.manifest["dtype"], index.vectors.dtype, index.manifest["most_passages"]) == ("float16", np.float16, 3)


def test_a_damaged_index_is_not_compacted(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(group(0))
    index.delete(["0-0"])
    shard = tmp_path / "x" / index.vectors.shards[0].file
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    with pytest.raises(DamagedIndexError, match=r"checksums differ for vectors-00000\.npy"):
        index.compact()


def test_a_single_string_is_no_list_of_docnos(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index([{"docno": docno, "doc_vec": np.ones(4)} for docno in "12"])
    with pytest.raises(UsageError, match="'12'"):
        index.delete("12")


def test_white_space_around_a_docno_to_delete_is_no_part_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    index = AnceIndex(tmp_path / "x").index([{"docno": docno, "doc_vec": np.ones(4)} for docno in "1234"])
    assert index.delete([" 1", "2\u200b", np.int64(3)]) == 3
    (record,) = caplog.records
    assert "2 ids" in record.message
    for wrong in (4.0, None, "", "a b"):
        with pytest.raises(UsageError, match=repr(wrong)):
            index.delete([wrong])  # type: ignore[list-item]
    assert len(index) == 1


def test_a_copy_is_an_index_of_its_own(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(group(0)).add(group(1))
    index.delete(["0-0"])
    copy = index.save(tmp_path / "y")
    copy.verify()
    assert live(copy) == live(index)
    copy.delete(docnos(1))
    assert len(index) == len(AnceIndex(tmp_path / "x")) == 2 * GROUP - 1
    with pytest.raises(IndexingError, match=re.escape(str(tmp_path / "y"))):
        index.save(tmp_path / "y")
