"""Vectors in Parquet files, as other tools write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ance_ir.cli.index.import_ import command as index_import
from ance_ir.errors import IndexingError, MalformedFileError
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.formats import read_vectors, write_vectors

arrow: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")

VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


def table(column: Any, rows: Any = ("a", "b", "c", "d"), *, ids: str = "id", vectors: str = "vector") -> Any:
    return arrow.table({ids: list(rows), "text": ["t"] * len(rows), vectors: column})


def lists(kind: Any) -> Any:
    return arrow.array(VECTORS.tolist(), kind)


COLUMNS: dict[str, Callable[[], Any]] = {
    "floats as Python's": lambda: table(lists(arrow.list_(arrow.float64()))),
    "half floats": lambda: table(lists(arrow.list_(arrow.float16()))),
    "large lists": lambda: table(lists(arrow.large_list(arrow.float32()))),
    "lists of one length": lambda: table(lists(arrow.list_(arrow.float32(), 3))),
    "other names": lambda: table(lists(arrow.list_(arrow.float32())), ids="docid", vectors="embedding"),
    "the only lists of floats": lambda: table(lists(arrow.list_(arrow.float32())), vectors="mine"),
}


@pytest.mark.parametrize("rows", [1, 3, 4096])
@pytest.mark.parametrize("case", COLUMNS)
def test_what_other_tools_write_is_read(case: str, rows: int, tmp_path: Path) -> None:
    parquet.write_table(COLUMNS[case](), tmp_path / "part-2.parquet", row_group_size=2)
    parquet.write_table(COLUMNS[case]().slice(1, 2), tmp_path / "part-10.parquet")
    batches = list(read_vectors(tmp_path, rows=rows))
    assert [one for ids, _ in batches for one in ids] == ["a", "b", "c", "d", "b", "c"]
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in batches]), VECTORS[[0, 1, 2, 3, 1, 2]])
    assert max(len(ids) for ids, _ in batches) <= rows


def test_numbers_are_ids_and_the_command_imports(tmp_path: Path) -> None:
    parquet.write_table(table(lists(arrow.list_(arrow.float32())), [7, 8, 9, 10]), tmp_path / "x.parquet")
    result = CliRunner().invoke(index_import, [str(tmp_path / "x.parquet"), "--format", "parquet", "--out", str(tmp_path / "x.ance")])
    assert result.exit_code == 0, result.output
    assert list(AnceIndex(tmp_path / "x.ance").docnos(np.arange(4))) == ["7", "8", "9", "10"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_others_read_what_is_written(dtype: Any, tmp_path: Path) -> None:
    vectors = VECTORS.astype(dtype)
    ids = np.array(["a", "b", "c", "d"], dtype=object)
    write_vectors(tmp_path / "out", [(ids[:3], vectors[:3]), (ids[3:], vectors[3:])], "parquet")
    found = parquet.read_table(tmp_path / "out" / "vectors.parquet")
    assert str(found.schema.field("vector").type) == f"fixed_size_list<element: {'halffloat' if dtype == np.float16 else 'float'}>[3]"
    assert found.column("docno").to_pylist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(np.array(found.column("vector").to_pylist(), dtype=dtype), vectors)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no ids": (lambda: table(lists(arrow.list_(arrow.float32())), ids="key"), "a column of ids"),
    "no vectors": (lambda: arrow.table({"id": ["a"], "vector": ["1 2"]}), "one column of vectors"),
    "two columns of vectors": (
        lambda: arrow.table({"id": ["a"], "x": arrow.array([[1.0]]), "y": arrow.array([[1.0]])}),
        "one column of vectors",
    ),
    "a vector is missing": (lambda: table(arrow.array([[1.0], None, [1.0], [1.0]])), "no vector"),
    "a number is missing": (lambda: table(arrow.array([[1.0], [None], [1.0], [1.0]])), "missing numbers"),
    "two dimensions": (lambda: table(arrow.array([[1.0], [1.0, 2.0, 3.0], [1.0], [1.0]])), "one dimension"),
    "infinite": (lambda: table(arrow.array([[1.0], [float("inf")], [1.0], [1.0]])), "infinite"),
    "an id with white space": (lambda: table(lists(arrow.list_(arrow.float32())), ["a b", "c", "d", "e"]), "a b"),
    "an id is missing": (lambda: table(lists(arrow.list_(arrow.float32())), ["a", None, "c", "d"]), "vector 2: .*None"),
    "ids are fractions": (lambda: table(lists(arrow.list_(arrow.float32())), [1.0, 2.0, 3.0, 4.0]), r"vector 1: .*1\.0 .*write 1 for 1\.0"),
    "ids are truths": (lambda: table(lists(arrow.list_(arrow.float32())), [True, False, True, False]), "vector 1: .*True"),
    "ids are lists": (lambda: table(lists(arrow.list_(arrow.float32())), [["a"], ["b"], ["c"], ["d"]]), "vector 1: .*a"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    made, named = REFUSED[case]
    parquet.write_table(made(), tmp_path / "x.parquet")
    with pytest.raises(IndexingError, match=named):
        list(read_vectors(tmp_path / "x.parquet"))


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    parquet.write_table(table(lists(arrow.list_(arrow.float32()))), tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-20])
    with pytest.raises(MalformedFileError, match=r"x\.parquet"):
        list(read_vectors(tmp_path))
