"""What one process does to an index while another has it open, opens it, or changes it; and files that are not what they were."""

from __future__ import annotations

import re
import resource
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.errors import DamagedIndexError, UsageError
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.formats import read_vectors
from ance_ir.indexes.store import snapshot, updates
from ance_ir.indexes.store.snapshot import Snapshot
from ance_ir.indexes.store.vectors import VectorWriter
from ance_ir.models import Encoding, TextSettings

D = 8


def rows(count: int, seed: int, first: int = 0, model: str | None = None) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    settings = TextSettings()
    encoding = model and Encoding(model=model, fingerprint=model * 64, similarity="dot", passages=None, precision="float32", text=settings)
    return [{"docno": f"d{first + n}", "doc_vec": vector, "encoding": encoding} for n, vector in enumerate(vectors)]


def queries(count: int = 3) -> np.ndarray:
    return np.random.default_rng(9).normal(size=(count, D)).astype(np.float32)


def test_an_index_is_overwritten_once_it_is_no_longer_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AnceIndex(tmp_path / "x").index(rows(300, 1)).delete(["d1"])
    verify = Snapshot.verify
    overwriting = threading.Thread(target=lambda: AnceIndex(tmp_path / "x", overwrite=True).index(rows(200, 2, first=1000)))

    def slow(self: Snapshot) -> None:
        overwriting.start()
        overwriting.join(0.5)
        assert overwriting.is_alive(), "it does not wait"
        verify(self)

    monkeypatch.setattr(Snapshot, "verify", slow)
    updates.compact(tmp_path / "x")
    overwriting.join(30)
    index = AnceIndex(tmp_path / "x")
    assert len(index) == 200
    assert index.numbers(["d1000"]) >= 0


@pytest.mark.parametrize("backend", ["flat", "ivf,nprobe=999", "sq8"])
def test_a_faiss_file_of_the_index_before(tmp_path: Path, backend: str) -> None:
    AnceIndex(tmp_path / "x").index(rows(300, 1))
    reader = AnceIndex(tmp_path / "x")
    assert len(reader) == 300
    AnceIndex(tmp_path / "x", overwrite=True).index(rows(300, 2))
    reader.searcher(backend)
    index = AnceIndex(tmp_path / "x")
    np.testing.assert_array_equal(index.search_vectors(queries(), 3, index.searcher(backend))[1], index.search_vectors(queries(), 3)[1])


def test_an_index_that_is_overwritten_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AnceIndex(tmp_path / "x").index(rows(300, 1, model="a"))
    read, done = snapshot.read_manifest, []

    def overwriting(folder: Path) -> Any:
        manifest = read(folder)
        if not done:
            done.append(1)
            AnceIndex(tmp_path / "x", overwrite=True).index(rows(300, 2, model="b"))
        return manifest

    monkeypatch.setattr(snapshot, "read_manifest", overwriting)
    index = AnceIndex(tmp_path / "x")
    seed = {"a": 1, "b": 2}[index.manifest["encoding"]["model"]]
    np.testing.assert_array_equal(index.vectors.get(np.arange(300)), np.stack([row["doc_vec"] for row in rows(300, seed)]))


def test_full_shards_are_not_compacted_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "MOST_SHARDS", 4)
    monkeypatch.setattr(updates, "SHARD_BYTES", 10 * D * 4)
    monkeypatch.setattr(VectorWriter.__init__, "__defaults__", ("float32", 10 * D * 4))
    compact, compactions = updates._compact, []
    index = AnceIndex(tmp_path / "x").index(rows(100, 1))
    monkeypatch.setattr(updates, "_compact", lambda now: (compactions.append(1), compact(now)))
    for number in range(6):
        index.add(rows(1, 2 + number, 1000 + number))
    assert len(compactions) == 1


def test_documents_are_added_where_all_of_many_shards_were_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "MOST_SHARDS", 2)
    index = AnceIndex(tmp_path / "x").index(rows(3, 1)).add(rows(3, 2, 3))
    index.delete([f"d{number}" for number in range(6)])
    assert len(index.add(rows(3, 3, 10))) == 3


def test_a_searcher_of_another_state_is_not_used(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(rows(600, 1))
    searcher = index.searcher()
    index.delete([f"d{number}" for number in range(50)])
    with pytest.raises(UsageError, match=re.escape(str(tmp_path / "x"))):
        index.search_vectors(queries(20), 1, searcher)


@pytest.mark.parametrize("backend", ["sq8,rescore=0", "faiss:L2norm,Flat,rescore=0"])
def test_rows_that_came_later_are_compared_as_the_others(tmp_path: Path, backend: str) -> None:
    all_rows = [{**row, "doc_vec": 27 * row["doc_vec"]} for row in rows(600, 1)]
    index = AnceIndex(tmp_path / "x").index(all_rows[:500])
    index.searcher(backend)
    index.add(all_rows[500:])
    found = index.search_vectors(queries(20), 20, index.searcher(backend))[1]
    assert (found >= 500).mean() < 0.4, "a sixth of the rows came later"


@pytest.mark.parametrize("backend", ["exact", "flat", "sq8"])
def test_queries_that_are_not_finite_are_refused_by_every_backend(tmp_path: Path, backend: str) -> None:
    index = AnceIndex(tmp_path / "x").index(rows(300, 1))
    with pytest.raises(UsageError, match="not finite"):
        index.search_vectors(np.full((1, D), np.nan, dtype=np.float32), 3, index.searcher(backend))


@pytest.mark.parametrize("name", ["docnos/docnos.bin", "docnos/docno_order.npy", "tie_order.npy", "vectors-00000.npy"])
@pytest.mark.parametrize("left", [0, 100])
def test_files_that_are_cut_short_are_named(tmp_path: Path, name: str, left: int) -> None:
    AnceIndex(tmp_path / "x").index(rows(300, 1))
    path = tmp_path / "x" / name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DamagedIndexError):
        len(AnceIndex(tmp_path / "x"))


def test_a_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    AnceIndex(tmp_path / "x").index(rows(300, 1))
    np.save(tmp_path / "x" / "tie_order.npy", np.arange(5))
    with pytest.raises(DamagedIndexError):
        len(AnceIndex(tmp_path / "x"))


def test_numbered_npy_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(12):
        np.save(tmp_path / f"part-{number}.npy", np.full((1, 2), number, dtype=np.float32))
    (tmp_path / "ids.txt").write_text("".join(f"{number}\n" for number in range(12)))
    found = {one: vector[0] for ids, vectors in read_vectors(tmp_path) for one, vector in zip(ids, vectors, strict=True)}
    assert all(int(one) == value for one, value in found.items())


@pytest.mark.slow
def test_shards_take_no_file_descriptors(tmp_path: Path) -> None:
    index = AnceIndex(tmp_path / "x").index(rows(1, 0))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 40, before[1]))
    try:
        for number in range(1, 80):
            index.add(rows(1, number, number))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(index.vectors.shards) == len(index) == 80
