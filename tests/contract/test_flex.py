"""FlexIndex: what we write is read by pyterrier_dr, and the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import DamagedIndexError
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.formats import export_index, import_index, read_vectors, write_vectors
from ance_ir.indexes.store.rows import index_rows

pytestmark = pytest.mark.integration
pyterrier_dr = pytest.importorskip("pyterrier_dr", reason="pyterrier_dr is not installed: pip install 'ance_ir[test]'")

KINDS: dict[str, list[str]] = {
    "one document": ["d1"],
    "one without a number": ["abc"],
    "letters": ["größe", "grün", "日本", "a/b", "%s%i", "d#1"],
    "cut within a character": ["é1x", "è2y"],
    "a sequence from 5 on": [f"d{number}" for number in range(5, 300)],
    "a sequence with zeros": [f"D{number:04}" for number in range(1, 300)],
    "large numbers": [str(2**33 + number) for number in range(5)],
    "numbers of 70 bits": [str(2**70 + 7 * number) for number in range(5)],
    "UUIDs": [f"123e4567-e89b-12d3-a456-4266141740{number:02}" for number in range(20)],
    "a block and one": [f"d{number}" for number in range(256)] + ["x"],
    "passages": [f"D{number}#{place}" for number in range(200) for place in range(4)],
}


def vectors_of(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)


def rows_of(docnos: list[str]) -> list[dict[str, Any]]:
    return [{"docno": docno, "doc_vec": vector} for docno, vector in zip(docnos, vectors_of(len(docnos)), strict=True)]


def theirs(path: Path) -> Any:
    return pyterrier_dr.FlexIndex(str(path), verbose=False)


@pytest.mark.parametrize("kind", KINDS)
def test_theirs_reads_ours(tmp_path: Path, kind: str) -> None:
    docnos = KINDS[kind]
    export_index(AnceIndex(tmp_path / "x").index(iter(rows_of(docnos))), tmp_path / "y.flex", "flex")
    index = theirs(tmp_path / "y.flex")
    assert len(index) == len(docnos)
    rows = list(index.get_corpus_iter())
    assert [row["docno"] for row in rows] == docnos
    np.testing.assert_array_equal([row["doc_vec"] for row in rows], vectors_of(len(docnos)))
    lookup = index.docnos()
    assert lookup.fwd[np.arange(len(docnos))].tolist() == docnos
    assert lookup.inv[docnos] == list(range(len(docnos)))
    assert lookup.inv[["unknown", "", "d", "0", docnos[0] + "0000000000"]] == [-1] * 5


def test_theirs_searches_ours(tmp_path: Path) -> None:
    docnos = KINDS["passages"]
    ours = AnceIndex(tmp_path / "x").index(iter(rows_of(docnos)))
    export_index(ours, tmp_path / "y.flex", "flex")
    index = pt.Artifact.load(str(tmp_path / "y.flex"))
    assert isinstance(index, pyterrier_dr.FlexIndex)
    index.verbose = False
    queries = pd.DataFrame({"qid": ["1", "2"], "query_vec": list(vectors_of(2))})
    found = index.np_retriever(num_results=10)(queries)
    scores, documents = ours.search_vectors(np.stack(queries["query_vec"]), 10)
    assert found["docno"].tolist() == ours.docnos(documents).ravel().tolist()
    np.testing.assert_allclose(found["score"], scores.ravel(), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_ours_reads_theirs(tmp_path: Path, kind: str) -> None:
    docnos = KINDS[kind]
    try:
        theirs(tmp_path / "x.flex").index(rows_of(docnos))
    except (ZeroDivisionError, UnicodeDecodeError):  # npids cannot read what it wrote, so that there is no index
        with pytest.raises(DamagedIndexError, match=r"pt_meta\.json"):
            import_index(tmp_path / "y", tmp_path / "x.flex")
        return
    index = import_index(tmp_path / "y", tmp_path / "x.flex")
    found = list(index_rows(index, passages=False))
    assert [docno for ids, _ in found for docno in ids] == docnos
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in found]), vectors_of(len(docnos)))


def test_any_docnos(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for trial in range(20):
        count = int(random.integers(1, 900))
        kinds = [random.choice(["{}", "d{}", "d{:05}", "{:032x}", "é{}x", "{}#0"]) for _ in range(random.integers(1, 4))]
        start = int(random.integers(0, 2 ** int(random.integers(1, 60))))
        docnos = [str(kinds[number * len(kinds) // count]).format(start + number) for number in range(count)]
        batches = (
            (np.array(docnos[first : first + 100], dtype=object), vectors_of(count)[first : first + 100]) for first in range(0, count, 100)
        )
        write_vectors(tmp_path / f"{trial}.flex", batches, "flex")
        lookup = theirs(tmp_path / f"{trial}.flex").docnos()
        assert list(lookup) == docnos
        assert lookup.fwd[np.arange(count)].tolist() == docnos
        assert lookup.inv[docnos] == list(range(count))
        assert [docno for ids, _ in read_vectors(tmp_path / f"{trial}.flex") for docno in ids] == docnos
