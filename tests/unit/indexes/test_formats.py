from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import faiss
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from ance_ir.cli.index.export import command as index_export
from ance_ir.cli.index.import_ import command as index_import
from ance_ir.errors import AnceError, DamagedIndexError, DatasetError, IndexingError, MalformedFileError, MissingDependencyError, UsageError
from ance_ir.files import write_json
from ance_ir.indexes import AnceIndex, DenseRetriever, MaxP
from ance_ir.indexes.formats import (
    FORMATS,
    export_index,
    find_format,
    import_index,
    read_query_vectors,
    read_vectors,
    write_query_vectors,
    write_vectors,
)
from ance_ir.indexes.formats.batches import Batch
from ance_ir.indexes.formats.vectors import flex
from ance_ir.indexes.store.rows import index_rows
from ance_ir.models import DenseEncoder
from tests.tiny import encoder

DOCNOS = ["d1", "a/b", "größe/日本/\U0001f600", "x#1", "#", "0", "00", "x#0", "12345678901234567890", "é1x", "è2y", "%s%i"]
KEPT = Path(__file__).parents[2] / "data" / "encoded_queries"
ERRORS = (IndexingError, DatasetError)


@pytest.fixture(scope="module")
def model() -> DenseEncoder:
    return encoder(head=8)


def vectors_of(rows: int, dimension: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)


def ids_of(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


def build(path: Path, docnos: list[str] = DOCNOS, **options: Any) -> AnceIndex:
    vectors = vectors_of(len(docnos))
    return AnceIndex(path, **options).index({"docno": docno, "doc_vec": vector} for docno, vector in zip(docnos, vectors, strict=True))


def build_passages(path: Path, model: DenseEncoder) -> AnceIndex:
    documents = [{"docno": docno, "text": "king queen " * (3 * number)} for number, docno in enumerate(DOCNOS)]
    index: AnceIndex = (MaxP(8, 3) >> model.passages() >> AnceIndex(path)).index(iter(documents))  # type: ignore[attr-defined]
    return index


def together(batches: Iterator[Batch]) -> tuple[list[str], np.ndarray]:
    read = list(batches)
    return [one for ids, _ in read for one in ids], np.concatenate([vectors for _, vectors in read])


def assert_rows(batches: Iterator[Batch], ids: list[str], vectors: np.ndarray) -> None:
    found = together(batches)
    assert found[0] == ids
    np.testing.assert_array_equal(found[1], vectors)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", FORMATS)
def test_there_and_back(tmp_path: Path, name: str, dtype: Any) -> None:
    index = build(tmp_path / "x", dtype=dtype)
    target = tmp_path / "away"
    assert export_index(index, target, name) == len(DOCNOS)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["away", "x"]
    assert find_format(target) == name
    stored = index.vectors.get(np.arange(len(DOCNOS)))
    for rows in (1, 5, 4096):
        batches = list(read_vectors(target, rows=rows))
        assert {len(ids) for ids, _ in batches[:-1]} <= {rows}
        assert all(vectors.dtype == np.float32 for _, vectors in batches)
        assert_rows(iter(batches), DOCNOS, stored)
    back = import_index(tmp_path / "y", target)
    assert (len(back), back.manifest["encoding"], back.manifest["most_passages"]) == (len(DOCNOS), None, 0)
    assert_rows(index_rows(back, passages=False), DOCNOS, stored)
    with pytest.raises(IndexingError, match=re.escape(str(tmp_path / "y"))):
        import_index(tmp_path / "y", target)
    with pytest.raises(IndexingError, match=f"away.*{name}"):
        export_index(index, target, name)
    export_index(build(tmp_path / "z", ["new"]), target, name, overwrite=True)
    assert together(read_vectors(target))[0] == ["new"]
    import_index(tmp_path / "y", target, overwrite=True, dtype="float16")
    assert AnceIndex(tmp_path / "y").manifest["dtype"] == "float16"


@pytest.mark.parametrize("name", FORMATS)
def test_any_rows_in_any_batches(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(7)
    for trial in range(12):
        count, dimension = int(random.integers(1, 700)), int(random.integers(1, 20))
        alphabet = list("ab#01/é日%")
        names = ["".join(random.choice(alphabet, random.integers(1, 9))).strip() or "x" for _ in range(count)]
        ids = [f"{one}{number}" if random.random() < 0.5 else f"{number}-{one}" for number, one in enumerate(names)]
        vectors = vectors_of(count, dimension, seed=trial)
        cuts = np.sort(random.integers(1, count + 1, size=3))
        batches = [(ids_of(*ids[a:b]), vectors[a:b]) for a, b in zip([0, *cuts], [*cuts, count], strict=True) if a < b]
        write_vectors(tmp_path / str(trial), iter(batches), name)
        assert_rows(read_vectors(tmp_path / str(trial), rows=int(random.integers(1, 300))), ids, vectors)


def test_passages_and_the_model(tmp_path: Path, model: DenseEncoder) -> None:
    index = build_passages(tmp_path / "x", model)
    for name in FORMATS:
        export_index(index, tmp_path / name, name)
        back = import_index(tmp_path / f"{name}.ance", tmp_path / name, model=model, passages=MaxP(8, 3))
        assert {**back.manifest, "shards": None} == {**index.manifest, "shards": None}
        queries = model.encode_queries(["king queen", "moon"])
        for expected, found in zip(index.search_vectors(queries, 5), back.search_vectors(queries, 5), strict=True):
            np.testing.assert_array_equal(found, expected)
        back.check_model(model)
        single = import_index(tmp_path / "single", tmp_path / name, model=model, overwrite=True)
        assert len(single) == len(index.vectors)
        assert single.manifest["encoding"] == {**index.manifest["encoding"], "passages": None}
    with pytest.raises(UsageError, match="passages"):
        import_index(tmp_path / "y", tmp_path / "npy", passages=MaxP())
    with pytest.raises(IndexingError, match=r"holds vectors of 8 dimensions, tiny makes 32"):
        import_index(tmp_path / "y", tmp_path / "npy", model=encoder())
    export_index(build(tmp_path / "z"), tmp_path / "documents", "npy")
    with pytest.raises(IndexingError, match=r"d7#0.*'d1'"):
        import_index(tmp_path / "y", tmp_path / "documents", model=model, passages=MaxP(8, 3))
    assert not (tmp_path / "y").exists()


def test_only_documents_of_several_passages_are_told_apart(tmp_path: Path, model: DenseEncoder) -> None:
    several = build_passages(tmp_path / "x", model)
    export_index(several, tmp_path / "several", "npy")
    counts = [min(max(number, 1), 3) for number in range(len(DOCNOS))]
    names = [f"{docno}#{place}" for docno, count in zip(DOCNOS, counts, strict=True) for place in range(count)]
    assert_rows(read_vectors(tmp_path / "several"), names, several.vectors.get(np.arange(len(names))))
    documents = iter([{"docno": "a", "text": "king"}, {"docno": "b", "text": "queen"}])
    single = (MaxP(8, 1) >> model.passages() >> AnceIndex(tmp_path / "y")).index(documents)  # type: ignore[attr-defined]
    export_index(single, tmp_path / "single", "npy")
    assert together(read_vectors(tmp_path / "single"))[0] == ["a", "b"]


@pytest.mark.parametrize("name", FORMATS)
def test_deleted_documents_stay_behind(tmp_path: Path, model: DenseEncoder, name: str) -> None:
    index = build_passages(tmp_path / "x", model)
    index.delete(DOCNOS[1:-1:2])
    rows = export_index(index, tmp_path / "away", name)
    assert rows == len(together(read_vectors(tmp_path / "away"))[0]) < len(index.vectors)
    back = import_index(tmp_path / "y", tmp_path / "away", model=model, passages=MaxP(8, 3))
    assert back.docnos(np.arange(len(back))).tolist() == [docno for docno in DOCNOS if docno not in DOCNOS[1:-1:2]]
    queries = model.encode_queries(["king queen", "moon"])
    for numbers, others in zip(index.search_vectors(queries, 20)[1], back.search_vectors(queries, 20)[1], strict=True):
        assert index.docnos(numbers).tolist() == back.docnos(others).tolist()
    index.delete(index.docnos(np.arange(len(DOCNOS)))[::2])
    index.delete(DOCNOS[-1:], missing=True)
    with pytest.raises(IndexingError, match="nothing"):
        export_index(index, tmp_path / "nothing", name)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_held_does_not_grow(tmp_path: Path, name: str) -> None:
    def batches() -> Iterator[Batch]:
        for number in range(40):
            yield ids_of(*(f"{number}-{row}" for row in range(100))), vectors_of(100, 64, seed=number)

    tracemalloc.start()
    try:
        write_vectors(tmp_path / "x", batches(), name)
        count = sum(len(ids) for ids, _ in read_vectors(tmp_path / "x", rows=100))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 4_000
    assert peak < 4_000 * 64 * 4 / 2


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_half_written(tmp_path: Path, name: str, error: type[BaseException]) -> None:
    def batches() -> Iterator[Batch]:
        yield ids_of("a"), vectors_of(1)
        raise error

    with pytest.raises(error):
        write_vectors(tmp_path / "x", batches(), name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").touch()
    with pytest.raises(UsageError, match="holds something else"):
        write_vectors(tmp_path / "x", iter([(ids_of("a"), vectors_of(1))]), name, overwrite=True)
    assert [entry.name for entry in (tmp_path / "x").iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["pyserini-faiss", "npy"])
@pytest.mark.parametrize("docno", ["a\nb", "a\rb", "a ", "a\u3000", ""])
def test_ids_that_fit_no_line(tmp_path: Path, name: str, docno: str) -> None:
    with pytest.raises(IndexingError, match=re.escape(repr(docno))):
        write_vectors(tmp_path / "y", iter([(ids_of("d1", docno), vectors_of(2))]), name)
    assert not (tmp_path / "y").exists()


def test_white_space_around_an_id_is_no_part_of_it_and_within_it_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_vectors(tmp_path / "x", iter([(ids_of("a", "b"), vectors_of(2))]), "npy")
    (tmp_path / "x" / "ids.txt").write_bytes(b"\xef\xbb\xbfa \r\n\tb\r\n")
    assert together(read_vectors(tmp_path / "x"))[0] == ["a", "b"]
    (record,) = caplog.records
    assert "2 ids" in record.message
    (tmp_path / "x" / "ids.txt").write_text("a\nb c\n")
    with pytest.raises(MalformedFileError, match=r"ids\.txt, line 2: .*'b c'"):
        together(read_vectors(tmp_path / "x"))


def test_a_faiss_directory_is_what_faiss_writes(tmp_path: Path) -> None:
    for count, dimension in ((1, 1), (3, 7), (5000, 16)):
        vectors = vectors_of(count, dimension)
        target = tmp_path / str(count)
        write_vectors(target, ((ids_of(str(row)), vectors[row : row + 1]) for row in range(count)), "pyserini-faiss")
        expected = faiss.IndexFlatIP(dimension)
        expected.add(vectors)
        faiss.write_index(expected, str(tmp_path / "expected"))
        assert (target / "index").read_bytes() == (tmp_path / "expected").read_bytes()
        assert (target / "docid").read_text() == "".join(f"{row}\n" for row in range(count))


def faiss_folder(path: Path, kind: str, metric: int = faiss.METRIC_INNER_PRODUCT, *, ids: bool = False) -> np.ndarray:
    rows = 600
    vectors = vectors_of(rows, 16)
    index = faiss.index_factory(16, kind, metric)
    index.train(vectors)
    if ids or kind.startswith("IDMap"):
        index.add_with_ids(vectors, np.arange(rows) + 5)
    else:
        index.add(vectors)
    path.mkdir()
    faiss.write_index(index, str(path / "index"))
    (path / "docid").write_text("".join(f"D{row}\n" for row in range(rows)))
    return vectors


@pytest.mark.parametrize("kind", ["Flat", "HNSW8,Flat", "IVF4,Flat", "NSG8,Flat"])
def test_faiss_indexes_that_keep_vectors(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    vectors = faiss_folder(tmp_path / "x", kind)
    for source in (tmp_path / "x", tmp_path / "x" / "index"):
        assert_rows(read_vectors(source, rows=100), [f"D{row}" for row in range(600)], vectors)
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["SQ8", "PQ4x4np", "IVF4,SQ8", "HNSW8,SQ8", "PCA8,Flat"])
def test_faiss_indexes_that_approximate(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    vectors = faiss_folder(tmp_path / "x", kind)
    with caplog.at_level(logging.WARNING):
        _, found = together(read_vectors(tmp_path / "x", rows=100))
    assert str(tmp_path / "x" / "index") in caplog.text
    assert 0 < np.abs(found - vectors).mean() < 0.8


REFUSED_FAISS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no docid": (lambda path: (path / "docid").unlink(), r"docid: a file of 600 ids was expected, one a line; there is none"),
    "no index": (lambda path: (path / "index").unlink(), r"index: a Faiss file was expected; there is none"),
    "fewer ids": (lambda path: (path / "docid").write_text("D1\nD2\n"), r"docid: 600 ids were expected, .*found 2"),
    "more ids": (lambda path: (path / "docid").write_text("D1\n" * 601), r"600 ids were expected, .*found 601"),
    "an empty id": (lambda path: (path / "docid").write_text("D1\n" * 599 + "\n"), r"600 ids were expected, .*found 599"),
    "an id twice": (lambda path: (path / "docid").write_text("D1\n" * 600), r"the docno 'D1' occurs more than once"),
    "truncated": (
        lambda path: (path / "index").write_bytes((path / "index").read_bytes()[:9000]),
        r"index: 600 vectors of 16 dimensions in 9,000 bytes",
    ),
    "another file": (lambda path: (path / "index").write_bytes(b"hello"), r"Faiss cannot read it"),
    "distances": (lambda path: refill(path, "Flat", faiss.METRIC_L2), r"inner product"),
    "no way back": (lambda path: refill(path, "IDMap,Flat"), r"IndexIDMap "),
    "ids of its own": (lambda path: refill(path, "IDMap2,Flat"), r"IndexIDMap2 "),
    "ids of its own in lists": (lambda path: refill(path, "IVF4,Flat", ids=True), r"the vector of 'D0' is infinite or not a number"),
    "codes of 4 bits in lists": (lambda path: refill(path, "PCA8,IVF4,PQ4x4fs"), r"IndexIVFPQFastScan "),
    "not a number": (lambda path: spoil(path), r"the vector of 'D7' is infinite or not a number"),
}


def refill(path: Path, kind: str, metric: int = faiss.METRIC_INNER_PRODUCT, *, ids: bool = False) -> None:
    faiss_folder(path / "inner", kind, metric, ids=ids)
    (path / "inner" / "index").rename(path / "index")


def spoil(path: Path) -> None:
    vectors = vectors_of(600, 16)
    vectors[7, 3] = np.nan
    index = faiss.IndexFlatIP(16)
    index.add(vectors)
    faiss.write_index(index, str(path / "index"))


@pytest.mark.parametrize("case", REFUSED_FAISS)
def test_faiss_directories_that_are_refused(tmp_path: Path, case: str) -> None:
    damage, message = REFUSED_FAISS[case]
    faiss_folder(tmp_path / "x", "Flat")
    damage(tmp_path / "x")
    refuse(tmp_path, message)


def refuse(folder: Path, message: str, kind: tuple[type[AnceError], ...] = ERRORS, format: str | None = None) -> None:
    """Importing ``x`` fails with a message, and leaves nothing."""
    before = sorted(folder.iterdir())
    with pytest.raises(kind, match=message) as caught:
        import_index(folder / "y", folder / "x", format=format)
    assert "\n" not in str(caught.value)
    assert sorted(folder.iterdir()) == before


def line(**changes: Any) -> str:
    return json.dumps({"id": "a", "contents": "text", "vector": [1.0, 2.0], **changes}) + "\n"


def test_embeddings_jsonl(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "2.jsonl").write_text(line(id=7) + "\n" + line(id="größe", vector=[0.1, 1e-40]))
    (tmp_path / "x" / "1.jsonl").write_text(line(vector=[3, 4]))
    for number in range(3, 10):
        (tmp_path / "x" / f"{number}.jsonl").write_text(line(id=f"more-{number}", vector=[number, 0]))
    (tmp_path / "x" / "readme.txt").write_text("not read")
    vectors = np.array([[3, 4], [1, 2], [0.1, 1e-40]], dtype=np.float32)
    more = np.array([[number, 0] for number in range(3, 10)], dtype=np.float32)
    expected = ["a", "7", "größe", *(f"more-{number}" for number in range(3, 10))]
    assert_rows(read_vectors(tmp_path / "x", rows=4), expected, np.concatenate([vectors, more]))
    assert_rows(read_vectors(tmp_path / "x" / "1.jsonl"), ["a"], vectors[:1])
    export_index(build(tmp_path / "z"), tmp_path / "away", "embeddings-jsonl")
    first = json.loads((tmp_path / "away" / "embeddings.jsonl").read_text().splitlines()[0])
    assert (list(first), first["id"], first["contents"]) == (["id", "contents", "vector"], "d1", "")


BAD_LINES = {
    "no JSON": ("{", "a JSON object"),
    "no object": ("[1]\n", "a JSON object"),
    "no id": (line(id=None), "an id"),
    "an empty id": (line(id=""), "an id"),
    "no vector": (line(vector=None), "a list of finite numbers"),
    "an empty vector": (line(vector=[]), "a list of finite numbers"),
    "a hole": (line(vector=[1.0, None]), "a list of finite numbers"),
    "not a number": (line(vector=[1.0, float("nan")]), "a list of finite numbers"),
    "too large": (line(vector=[1.0, 1e300]), "a list of finite numbers"),
    "words": (line(vector=["x", "y"]), "a list of finite numbers"),
    "a list of lists": (line(vector=[[1.0], [2.0]]), "a list of finite numbers"),
    "ragged": (line(vector=[[1.0], 2.0]), "a list of finite numbers"),
    "another dimension": (line(vector=[1.0]), "a vector of 2 dimensions as in the first line, found '1 dimensions'"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_bad_lines_are_named(tmp_path: Path, case: str) -> None:
    bad, expected = BAD_LINES[case]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.jsonl").write_text(line())
    (tmp_path / "x" / "2.jsonl").write_text("\n" + line(id="b") + bad)
    refuse(tmp_path, rf"2\.jsonl, line 3: expected {expected}", (MalformedFileError,))


def test_npy_of_several_files(tmp_path: Path) -> None:
    vectors = vectors_of(10)
    (tmp_path / "x").mkdir()
    np.save(tmp_path / "x" / "vectors-0.npy", vectors[:4].astype(np.float64))
    np.save(tmp_path / "x" / "vectors-1.npy", np.asfortranarray(vectors[4:]))
    (tmp_path / "x" / "docnos.txt").write_text("".join(f"{row} \r\n" for row in range(10)))
    assert_rows(read_vectors(tmp_path / "x", rows=3), [str(row) for row in range(10)], vectors)
    (tmp_path / "x" / "ids.txt").write_text("a\nb\nc\nd\n")
    assert_rows(read_vectors(tmp_path / "x" / "vectors-0.npy"), list("abcd"), vectors[:4])


def objects(path: Path) -> None:
    np.save(path / "vectors.npy", np.array([[{}]], dtype=object), allow_pickle=True)


REFUSED_NPY: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no ids": (lambda path: (path / "ids.txt").unlink(), r"ids\.txt: a file of 12 ids was expected"),
    "fewer ids": (lambda path: (path / "ids.txt").write_text("a\n"), r"12 ids were expected, .*found 1"),
    "an id twice": (lambda path: (path / "ids.txt").write_text("a\n" * 12), r"the docno 'a' occurs more than once"),
    "bytes that are no text": (
        lambda path: (path / "ids.txt").write_bytes(b"a\n\xff\n" + b"b\n" * 10),
        r"ids\.txt, line 2: expected UTF-8",
    ),
    "objects": (objects, r"vectors\.npy: .*object"),
    "one dimension": (
        lambda path: np.save(path / "vectors.npy", np.ones(12)),
        r"vectors\.npy: .*float64 \(12,\)",
    ),
    "whole numbers": (lambda path: np.save(path / "vectors.npy", np.ones((12, 2), dtype=int)), r"vectors\.npy: .*int64 \(12, 2\)"),
    "no width": (lambda path: np.save(path / "vectors.npy", np.ones((12, 0))), r"has 0 dimensions, at least 1 expected"),
    "no rows": (lambda path: empty(path), r"holds no vector"),
    "truncated": (
        lambda path: (path / "vectors.npy").write_bytes((path / "vectors.npy").read_bytes()[:200]),
        r"vectors\.npy",
    ),
    "not a number": (lambda path: np.save(path / "vectors.npy", np.full((12, 2), np.inf)), r"the vector of 'd1' is infinite"),
    "too large": (lambda path: np.save(path / "vectors.npy", np.full((12, 2), 1e300)), r"the vector of 'd1' is infinite"),
    "two dimensions": (lambda path: widths(path), r"the vector of '0' has 3 dimensions, 8 expected"),
}


def empty(path: Path) -> None:
    np.save(path / "vectors.npy", np.ones((0, 2)))
    (path / "ids.txt").write_text("")


def widths(path: Path) -> None:
    np.save(path / "z.npy", np.ones((1, 3)))
    (path / "ids.txt").write_text("".join(f"{row}\n" for row in range(-12, 1)))


@pytest.mark.parametrize("case", REFUSED_NPY)
def test_npy_that_is_refused(tmp_path: Path, case: str) -> None:
    damage, message = REFUSED_NPY[case]
    export_index(build(tmp_path / "z"), tmp_path / "x", "npy")
    damage(tmp_path / "x")
    refuse(tmp_path, message)


def meta(**changes: Any) -> Callable[[Path], None]:
    told = {"type": "dense_index", "format": "flex", "vec_size": 8, "doc_count": 12, **changes}
    return lambda path: write_json(path / "pt_meta.json", told)


REFUSED_FLEX: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no description": (lambda path: (path / "pt_meta.json").unlink(), r"pt_meta\.json"),
    "no JSON": (lambda path: (path / "pt_meta.json").write_text("{"), r"pt_meta\.json"),
    "no count": (meta(doc_count=None), r"pt_meta\.json"),
    "another artifact": (meta(format="pisa"), r"FlexIndex.*pisa"),
    "vectors cut short": (lambda path: (path / "vecs.f4").write_bytes(b"1234"), r"12 vectors of 8 dimensions were expected, found 4 bytes"),
    "no vectors": (lambda path: (path / "vecs.f4").unlink(), r"12 vectors of 8 dimensions were expected, found 0 bytes"),
    "another dimension": (meta(vec_size=7), r"12 vectors of 7 dimensions were expected, found 384 bytes"),
    "fewer docnos": (lambda path: fewer(path), r"docnos\.npids: 12 docnos were expected, found 2"),
    "no docnos": (lambda path: (path / "docnos.npids").unlink(), r"npids cannot read it \(FileNotFoundError"),
    "docnos cut short": (lambda path: (path / "docnos.npids").write_bytes(b"NPID" + bytes(9)), r"npids cannot read it"),
}


def fewer(path: Path) -> None:
    write_vectors(path.parent / "other", iter([(ids_of("a", "b"), vectors_of(2))]), "flex")
    (path.parent / "other" / "docnos.npids").replace(path / "docnos.npids")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # npids leaves files open that it cannot read
@pytest.mark.parametrize("case", REFUSED_FLEX)
def test_flex_indexes_that_are_refused(tmp_path: Path, case: str) -> None:
    damage, message = REFUSED_FLEX[case]
    export_index(build(tmp_path / "z"), tmp_path / "x", "flex")
    damage(tmp_path / "x")
    refuse(tmp_path, message, format="flex")
    if case == "docnos cut short":
        gc.collect()


def test_a_flex_index_holds_no_docno_that_ends_in_nul(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="NUL"):
        write_vectors(tmp_path / "y", iter([(ids_of("a", "b\0"), vectors_of(2))]), "flex")
    assert not (tmp_path / "y").exists()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_index(build(tmp_path / "x"), tmp_path / "y", "flex")
    monkeypatch.setitem(sys.modules, "npids", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ance_ir\[flex\]'"):
        next(read_vectors(tmp_path / "y"))
    with pytest.raises(MissingDependencyError, match=r"pip install 'ance_ir\[flex\]'"):
        flex.npids()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_complete(name: str) -> None:
    """A folder that it writes is recognised by it, and help and documentation name it; round trips are tested above."""
    form = FORMATS[name]
    assert form.marker and form.patterns
    assert FORMATS.summary(name)
    assert name in (Path(__file__).parents[3] / "docs" / "indexes.md").read_text(encoding="utf-8")
    for command in (index_export, index_import):
        (option,) = (one for one in command.params if one.name == "format")
        assert name in option.type.choices  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("files", "name"),
    [(["index", "docid", "x.npy"], "pyserini-faiss"), (["vecs.f4", "x.jsonl"], "flex"), (["x.npy", "x.jsonl"], "embeddings-jsonl")],
)
def test_files_of_fixed_names_decide_first(files: list[str], name: str, tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).touch()
    assert find_format(tmp_path) == name


def test_what_is_not_understood(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    refuse(tmp_path, r"embeddings-jsonl \(.*\); flex \(.*\); npy \(.*\); pyserini-faiss \(")
    (tmp_path / "x" / "readme.txt").touch()
    refuse(tmp_path, "flex")
    for name, message in {
        "flex": "FlexIndex",
        "pyserini-faiss": "a Faiss file was expected",
        "embeddings-jsonl": "names in .jsonl were expected",
        "npy": "names in .npy were expected",
        "parquet": "names in .parquet were expected",
    }.items():
        refuse(tmp_path, message, format=name)
    with pytest.raises(IndexingError, match=re.escape(str(tmp_path / "nothing"))):
        import_index(tmp_path / "y", tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"'csv'.*embeddings-jsonl, flex, npy, parquet, pyserini-faiss"):
        import_index(tmp_path / "y", tmp_path / "x", format="csv")
    with pytest.raises(UsageError, match="'csv'"):
        export_index(build(tmp_path / "z"), tmp_path / "y", "csv")


QUERIES = pd.DataFrame(
    {"qid": ["q1", "q2", "q3"], "query": ["what is", "größe 日本", ""], "query_vec": [np.arange(3) + 0.5 * row for row in range(3)]}
)


def assert_queries(found: pd.DataFrame, expected: pd.DataFrame = QUERIES) -> None:
    assert found.columns.tolist() == ["qid", "query", "query_vec"]
    assert found["qid"].tolist() == expected["qid"].tolist()
    assert found["query"].tolist() == expected["query"].tolist()
    assert all(vector.dtype == np.float32 for vector in found["query_vec"])
    np.testing.assert_array_equal(np.stack(found["query_vec"]), np.stack(expected["query_vec"]))


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.pkl")), ids=lambda path: path.stem)
def test_encoded_queries_of_every_pandas(path: Path) -> None:
    assert_queries(read_query_vectors(path))


def pickled(path: Path, **columns: Any) -> Path:
    rows = len(QUERIES)
    given = {"id": ["a"] * rows, "text": ["b"] * rows, "embedding": [np.ones(2, dtype=np.float32)] * rows, **columns}
    pd.DataFrame({name: content for name, content in given.items() if content is not None}).to_pickle(path)
    return path


def test_encoded_queries_as_this_pandas_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    frame = pd.DataFrame({"id": [1, 2, 3], "text": QUERIES["query"], "embedding": QUERIES["query_vec"]})
    expected = QUERIES.assign(qid=["1", "2", "3"])
    many = pd.concat([frame] * 300, ignore_index=True)
    for protocol in (3, 4, 5):
        frame.to_pickle(path, protocol=protocol)
        assert_queries(read_query_vectors(path), expected)
    for changed in (
        frame.assign(more=1.5),
        frame[["embedding", "text", "id"]],
        frame.assign(embedding=[vector.tolist() for vector in frame["embedding"]]),
        frame.assign(embedding=[vector.astype(">f8") for vector in frame["embedding"]]),
        frame.assign(embedding=[np.repeat(vector, 2)[::2] for vector in frame["embedding"]]),
        frame.assign(id=pd.Series([np.int64(1), np.uint8(2), "3"], dtype=object)),
        frame.astype({"text": object}),
        frame.set_axis([5, 2, 9]),
        frame.set_axis(["x", "y", "z"]),
        many.iloc[:3],
    ):
        changed.to_pickle(path)
        assert_queries(read_query_vectors(path), expected)


def test_white_space_around_the_ids_of_encoded_queries_is_no_part_of_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_query_vectors(pickled(tmp_path / "embedding.pkl", id=[" q1", "q2\u200b", "q3"]))["qid"].tolist() == ["q1", "q2", "q3"]
    (record,) = caplog.records
    assert "2 ids" in record.message


def test_encoded_queries_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "away"
    write_query_vectors(QUERIES.set_axis(pd.date_range("2020-01-01", periods=3)), path)
    assert [entry.name for entry in path.iterdir()] == ["embedding.pkl"]
    for place in (path, path / "embedding.pkl"):
        assert_queries(read_query_vectors(place))
    theirs = pd.read_pickle(path / "embedding.pkl")  # noqa: S301
    assert theirs.columns.tolist() == ["id", "text", "embedding"]
    assert theirs.dtypes.tolist() == [object] * 3
    assert [vector.dtype for vector in theirs["embedding"]] == [np.float32] * 3
    random = np.random.default_rng(0)
    for count in (1, 2, 300):
        queries = pd.DataFrame({"qid": [str(row) for row in range(count)], "query": [f"é{row}" for row in range(count)]})
        queries["query_vec"] = list(random.normal(size=(count, 5)).astype(np.float32))
        write_query_vectors(queries, tmp_path / "x.pkl")
        assert_queries(read_query_vectors(tmp_path / "x.pkl"), queries)


def test_encoded_queries_are_searched_with(tmp_path: Path, model: DenseEncoder) -> None:
    index = (MaxP(8, 2) >> model.passages() >> AnceIndex(tmp_path / "x")).index(  # type: ignore[attr-defined]
        iter([{"docno": "a", "text": "king queen"}, {"docno": "b", "text": "red moon"}])
    )
    queries = pd.DataFrame({"qid": ["1", "2"], "query": ["king", "moon"]})
    write_query_vectors(queries.assign(query_vec=list(model.encode_queries(queries["query"].tolist()))), tmp_path / "q")
    retriever = DenseRetriever(index, model)
    found, expected = retriever.transform(read_query_vectors(tmp_path / "q")), retriever.transform(queries)
    assert found[["qid", "docno"]].values.tolist() == expected[["qid", "docno"]].values.tolist()
    np.testing.assert_array_equal(found["score"], expected["score"])


class Call:
    """Pickles as a call of whatever it is given."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


def attacks(mark: Path) -> dict[str, tuple[bytes, str]]:
    command = f"touch {mark}".encode()

    def frame(one: Any) -> bytes:
        return pickle.dumps(pd.DataFrame({"id": ["a"], "text": ["b"], "embedding": pd.Series([one], dtype=object)}))

    return {
        "os.system": (pickle.dumps(Call(os.system, command.decode())), r"posix\.system"),
        "within a frame": (frame(Call(os.system, command.decode())), r"posix\.system"),
        "exec": (pickle.dumps(Call(exec, f"open({str(mark)!r}, 'w')")), r"builtins\.exec"),
        "getattr": (pickle.dumps(Call(getattr, "", "join")), r"builtins\.getattr"),
        "old style": (b"cos\nsystem\n(V" + command + b"\ntR.", r"os\.system"),
        "an instance, old style": (b"(V" + command + b"\nios\nsystem\n.", r"os\.system"),
        "within a module": (b"\x80\x04\x8c\x06pandas\x8c\x0eDataFrame.eval\x93.", r"pandas\.DataFrame\.eval"),
        "pandas itself": (b"\x80\x04\x8c\x06pandas\x8c\x0bread_pickle\x93.", r"pandas\.read_pickle"),
        "an extension": (pickle.dumps(Call(np.load, str(mark))), r"numpy\.load"),
    }


@pytest.mark.parametrize("case", attacks(Path("x")))
def test_pickles_that_would_run_something(tmp_path: Path, case: str) -> None:
    mark = tmp_path / "ran"
    content, name = attacks(mark)[case]
    (tmp_path / "embedding.pkl").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"{name}.*not run"):
        read_query_vectors(tmp_path)
    assert not mark.exists()


def test_what_a_pickle_names_is_never_called_or_changed(tmp_path: Path) -> None:
    before = dict(vars(pd.DataFrame))
    # sets an attribute on the class, as a pickle may: BUILD with the class itself and a state of slots
    (tmp_path / "embedding.pkl").write_bytes(b"\x80\x02cpandas\nDataFrame\n(N}U\x08__init__NstUb.".replace(b"U\x08", b"X\x08\0\0\0"))
    with pytest.raises(DatasetError):
        read_query_vectors(tmp_path)
    # a buffer of a terabyte, asked for by name
    (tmp_path / "embedding.pkl").write_bytes(b"\x80\x02cbuiltins\nbytearray\nL1000000000000L\n\x85R.")
    with pytest.raises(DatasetError, match="a Frame was expected, found Buffer"):
        read_query_vectors(tmp_path)
    assert dict(vars(pd.DataFrame)) == before


BAD_QUERIES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no pickle": (lambda path: path.write_bytes(b"hello"), r"embedding\.pkl"),
    "nothing": (lambda path: path.write_bytes(b""), r"embedding\.pkl"),
    "no frame": (lambda path: path.write_bytes(pickle.dumps({"id": 1})), "a Frame was expected, found dict"),
    "no text": (lambda path: pickled(path, text=None), r"no text among its columns id, embedding"),
    "text of numbers": (lambda path: pickled(path, text=[1, 2, 3]), r"a text was expected, found int64"),
    "missing text": (
        lambda path: pickled(path, text=["a", None, "b"]),
        r"a text was expected|1 missing strings",
    ),  # of pyarrow where it is installed
    "missing text, of pyarrow": (
        lambda path: path.write_bytes((KEPT / "refused" / "missing-text-pyarrow.pkl").read_bytes()),
        r"1 missing strings",
    ),
    "ids of floats": (lambda path: pickled(path, id=[0.5, 1, 2]), r"found 0\.5 \(float\)"),
    "an id with white space": (lambda path: pickled(path, id=["a", "q 2", "b"]), "'q 2'"),
    "an empty id": (lambda path: pickled(path, id=["a", "", "b"]), "''"),
    "ragged": (lambda path: pickled(path, embedding=[np.ones(2), np.ones(3), np.ones(2)]), "not finite or not of one dimension"),
    "matrices": (lambda path: pickled(path, embedding=[np.ones((1, 2))] * 3), "not finite or not of one dimension"),
    "not a number": (lambda path: pickled(path, embedding=[np.ones(2), np.array([1, np.nan]), np.ones(2)]), "not finite"),
    "words": (lambda path: pickled(path, embedding=["x", "y", "z"]), "a list of numbers was expected, found str"),
    "dates": (lambda path: pickled(path, id=pd.to_datetime(["2020-01-01"] * 3)), "which no frame of texts and vectors needs"),
}


@pytest.mark.parametrize("case", BAD_QUERIES)
def test_encoded_queries_that_are_refused(tmp_path: Path, case: str) -> None:
    make, message = BAD_QUERIES[case]
    make(tmp_path / "embedding.pkl")
    with pytest.raises(DatasetError, match=message) as caught:
        read_query_vectors(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_encoded_queries(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"embedding\.pkl"):
        read_query_vectors(tmp_path)


@pytest.mark.slow
def test_damaged_pickles_are_refused_or_read(tmp_path: Path) -> None:
    """Whatever is wrong with a file, either there is one kind of error, or a frame."""
    random = np.random.default_rng(3)
    for path in sorted(KEPT.glob("*.pkl")):
        content = path.read_bytes()
        damaged = [content[:end] for end in range(0, len(content), 7)]
        for _ in range(150):
            changed = bytearray(content)
            for place in random.integers(0, len(content), size=random.integers(1, 4)):
                changed[place] = random.integers(0, 256)
            damaged.append(bytes(changed))
        for one in damaged:
            (tmp_path / "embedding.pkl").write_bytes(one)
            try:
                found = read_query_vectors(tmp_path)
            except DatasetError:
                continue
            assert found.columns.tolist() == ["qid", "query", "query_vec"]


def invoke(command: click.Command, *arguments: Any) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands(tmp_path: Path, model: DenseEncoder) -> None:
    model.save(tmp_path / "model")
    loaded = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu")
    index = build_passages(tmp_path / "x", loaded)
    for name in FORMATS:
        away, back = tmp_path / name, tmp_path / f"{name}.ance"
        output = invoke(index_export, index.folder, "--format", name, "--out", away)
        assert f"{len(index.vectors)} vectors of 8 dimensions in {away}" in output
        output = invoke(index_import, away, "--out", back, "--model", tmp_path / "model", "--passages", "maxp:8,3", "--dtype", "float16")
        assert f"12 documents, {len(index.vectors)} vectors of 8 dimensions in {back}" in output
        opened = AnceIndex(back)
        assert (opened.manifest["encoding"], opened.manifest["dtype"]) == (index.manifest["encoding"], "float16")
        opened.model()
    for arguments, kind, message in [
        ([away, "--out", back], IndexingError, "--overwrite"),
        ([away, "--out", tmp_path / "y", "--passages", "maxp"], click.UsageError, "--model"),
        ([away, "--out", tmp_path / "y", "--query-length", 9], click.UsageError, "--model"),
        ([tmp_path, "--out", tmp_path / "y"], IndexingError, "flex"),
    ]:
        result = CliRunner().invoke(index_import, [str(argument) for argument in arguments], standalone_mode=False)
        assert isinstance(result.exception, kind)
        assert message in str(result.exception)
    assert not (tmp_path / "y").exists()
    invoke(index_import, away, "--out", back, "--overwrite")
    assert AnceIndex(back).manifest["encoding"] is None
    result = CliRunner().invoke(index_export, [str(index.folder), "--format", name, "--out", str(away)], standalone_mode=False)
    assert isinstance(result.exception, IndexingError)
    invoke(index_export, index.folder, "--format", name, "--out", away, "--overwrite")


def test_damaged_indexes_stay_damaged_indexes(tmp_path: Path) -> None:
    index = build(tmp_path / "x")
    (tmp_path / "x" / "manifest.json").unlink()
    with pytest.raises(DamagedIndexError):
        export_index(AnceIndex(index.folder), tmp_path / "y", "npy")
    assert not (tmp_path / "y").exists()
