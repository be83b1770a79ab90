from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ance_ir.errors import DamagedIndexError, IndexingError, UsageError
from ance_ir.indexes.store.vectors import VectorStore, VectorType, VectorWriter


def random_vectors(rows: int, dimension: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)


def write(folder: Path, vectors: np.ndarray, dtype: VectorType = "float32", shard_rows: int = 10, step: int = 4) -> dict[str, Any]:
    writer = VectorWriter(folder, dtype, shard_bytes=shard_rows * vectors.shape[1] * np.dtype(dtype).itemsize)
    for start in range(0, len(vectors), step):
        writer.append(vectors[start : start + step])
    manifest: dict[str, Any] = json.loads(json.dumps(writer.finish()))
    return manifest


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("rows", "shards"), [(1, [1]), (9, [9]), (10, [10]), (11, [10, 1]), (35, [10, 10, 10, 5])])
@pytest.mark.parametrize("step", [1, 7, 100])
def test_vectors_come_back(tmp_path: Path, dtype: VectorType, rows: int, shards: list[int], step: int) -> None:
    vectors = random_vectors(rows)
    manifest = write(tmp_path, vectors, dtype, step=step)
    assert (manifest["vectors"], manifest["dimension"], manifest["dtype"]) == (rows, 5, dtype)
    assert [shard["rows"] for shard in manifest["shards"]] == shards
    assert sorted(path.name for path in tmp_path.iterdir()) == [shard["file"] for shard in manifest["shards"]]
    store = VectorStore(tmp_path, manifest)
    stored = vectors.astype(dtype).astype(np.float32)
    assert len(store) == rows
    np.testing.assert_array_equal(store.get(np.arange(rows)), stored)
    assert store.get(np.arange(rows)).dtype == np.float32
    assert store.largest_norm == pytest.approx(np.linalg.norm(stored, axis=1).max(), rel=1e-6)


@given(st.lists(st.integers(0, 34), max_size=60), st.integers(1, 40))
def test_rows_and_blocks_are_read_over_the_borders_of_shards(tmp_path_factory: pytest.TempPathFactory, rows: list[int], size: int) -> None:
    folder = tmp_path_factory.mktemp("store")
    vectors = random_vectors(35)
    store = VectorStore(folder, write(folder, vectors))
    np.testing.assert_array_equal(store.get(np.array(rows, dtype=np.int64)), vectors[rows])
    blocks = list(store.blocks(size))
    assert all(0 < len(block) <= size for _, block in blocks)
    assert [first for first, _ in blocks] == np.cumsum([0, *(len(block) for _, block in blocks)])[:-1].tolist()
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), vectors)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_that_are_not_finite_are_refused(tmp_path: Path, value: float, dtype: VectorType) -> None:
    vectors = random_vectors(3)
    vectors[1, 2] = value
    with pytest.raises(IndexingError, match="infinite or not a number"):
        write(tmp_path, vectors, dtype)


def test_vectors_too_large_for_float16_are_refused(tmp_path: Path) -> None:
    vectors = random_vectors(3) * 1e5
    with pytest.raises(IndexingError, match=r"float16.*2 of 3"):
        write(tmp_path, vectors, "float16")
    write(tmp_path, vectors, "float32")


def test_a_change_of_dimension_is_refused(tmp_path: Path) -> None:
    writer = VectorWriter(tmp_path)
    writer.append(random_vectors(2, 5))
    with pytest.raises(IndexingError, match="vectors of 4 dimensions after vectors of 5"):
        writer.append(random_vectors(2, 4))


def test_an_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'int8'.*float16, float32"):
        VectorWriter(tmp_path, "int8")  # type: ignore[arg-type]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def other_rows(path: Path) -> None:
    np.save(path, random_vectors(9))


def other_type(path: Path) -> None:
    np.save(path, random_vectors(10).astype(np.float64))


def pickled(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize("damage", [Path.unlink, empty, truncate, other_rows, other_type, pickled])
def test_a_damaged_shard_is_refused_when_opened(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    manifest = write(tmp_path, random_vectors(25))
    damage(tmp_path / "vectors-00001.npy")
    with pytest.raises(DamagedIndexError, match=r"vectors-00001.npy: .*build the index again"):
        VectorStore(tmp_path, manifest)
