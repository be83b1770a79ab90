"""Faiss files: mapped instead of loaded, and inverted files that are filled in pieces."""

from __future__ import annotations

import gc
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest

from ance_ir.errors import DamagedIndexError, IndexingError
from ance_ir.indexes.ann import filling
from ance_ir.indexes.ann.build import build_faiss, faiss_paths, open_faiss
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import parse_backend
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter
from ance_ir.processes import anonymous_memory
from tests.processes import CONTEXT, start

ROWS, DIMENSION = 3000, 32
INVERTED = ["ivf20", "ivf20+sq8", "ivf20+rabitq", "pq4+ivf20", "pca8+ivf20+fp16", "matryoshka8+ivf20", "faiss:IVF8_HNSW8,Flat"]
OTHERS = ["flat", "sq8", "rabitq", "hnsw8", "hnsw8+sq8", "faiss:IVF8,PQ8x4fs", "faiss:IVF8,Flat,RFlat"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> VectorStore:
    folder = tmp_path_factory.mktemp("store")
    writer = VectorWriter(folder, shard_bytes=300 * DIMENSION * 4)
    writer.append(np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float32))
    return VectorStore(folder, writer.finish())


@pytest.fixture
def one_thread() -> Any:
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("family", [*INVERTED, *OTHERS])
def test_a_file_that_is_joined_from_pieces_is_that_of_an_index_in_memory(
    family: str, store: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of families whose lists can be joined; all others stay in memory."""
    settings = parse_backend(family)
    monkeypatch.setattr(filling, "_BLOCK_BYTES", 4 * DIMENSION * 100)
    build_faiss(store, tmp_path / "whole", settings)
    monkeypatch.setattr(filling, "PIECE_BYTES", 10_000)
    pieces: list[Path] = []
    joined = filling.join_pieces

    def counted(index: Any, written: list[Path], path: Path) -> None:
        pieces.extend(written)
        joined(index, written, path)

    monkeypatch.setattr("ance_ir.indexes.ann.build.join_pieces", counted)
    build_faiss(store, tmp_path / "joined", settings)
    whole, made = (faiss_paths(tmp_path / name, settings)[0] for name in ("whole", "joined"))
    assert made.read_bytes() == whole.read_bytes()
    assert (len(pieces) > 2) == (family in INVERTED)
    assert {path.name for path in made.parent.iterdir()} == {made.name, f"{settings.slug}.json"}


def test_no_more_than_a_piece_is_held(store: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever vectors are added, and at the end, when nothing is."""
    held: list[int] = []
    inner = faiss.IndexIVFScalarQuantizer.add

    def add(index: Any, vectors: np.ndarray) -> None:
        inner(index, vectors)
        held.append(index.invlists.compute_ntotal())

    monkeypatch.setattr(faiss.IndexIVFScalarQuantizer, "add", add)
    monkeypatch.setattr(filling, "_BLOCK_BYTES", 4 * DIMENSION * 100)
    monkeypatch.setattr(filling, "PIECE_BYTES", 500 * (DIMENSION + 8))
    settings = parse_backend("ivf20+sq8")
    build_faiss(store, tmp_path, settings)
    assert len(held) == ROWS / 100
    assert max(held) == 500
    assert open_faiss(store, tmp_path, settings).index.ntotal == ROWS


@pytest.mark.parametrize(("missing", "piece"), [(0, 500), (1, 500), (ROWS * DIMENSION, ROWS)])
def test_pieces_without_room_for_them_are_refused(
    missing: int, piece: int, store: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file that they are joined in; before one is written, and not built in memory instead."""
    monkeypatch.setattr(filling, "_BLOCK_BYTES", 4 * DIMENSION * 100)
    monkeypatch.setattr(filling, "PIECE_BYTES", piece * (DIMENSION + 8))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=2 * ROWS * (DIMENSION + 8) - missing))
    written: list[Path] = []
    write = filling.write_faiss
    monkeypatch.setattr(filling, "write_faiss", lambda index, path: written.append(path) or write(index, path))
    settings = parse_backend("ivf20+sq8")
    if missing and piece < ROWS:
        with pytest.raises(IndexingError, match=re.escape(str(tmp_path))):
            open_faiss(store, tmp_path, settings)
        assert not written
    else:
        assert open_faiss(store, tmp_path, settings).index.ntotal == ROWS


def _anonymous(paths: list[str], grown: Any) -> None:
    """MiB that this process alone holds more of once each index is read and has been searched."""
    faiss.omp_set_num_threads(1)
    gc.disable()  # it would touch, and so copy, pages that are shared with the process that this one was forked from
    filling.read_faiss(Path(paths[0]), mapped=True)  # what the first call of all copies is not the index's
    for number, path in enumerate(paths):
        before = anonymous_memory()
        index = filling.read_faiss(Path(path), mapped=True)
        index.search(np.ones((1, index.d), dtype=np.float32), 5)
        grown[number] = anonymous_memory() - before


@pytest.mark.usefixtures("one_thread")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_files_are_mapped(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(4000, 256)).astype(np.float32)
    writer = VectorWriter(tmp_path)
    writer.append(vectors)
    store = VectorStore(tmp_path, writer.finish())
    paths = []
    for family in ("flat", "sq8", "ivf8", "ivf8+sq8", "ivf8+rabitq", "hnsw4", "matryoshka250+ivf8"):
        settings = parse_backend(family)
        build_faiss(store, tmp_path, settings)
        paths.append(faiss_paths(tmp_path, settings)[0])
    grown = CONTEXT.Array("d", len(paths))
    process = start(_anonymous, [*map(str, paths)], grown)
    process.join()
    assert process.exitcode == 0
    for path, mebibytes in zip(paths, grown, strict=True):
        assert mebibytes < 0.2 + path.stat().st_size / 2**20 / 4, path.name


@pytest.mark.parametrize(("platform", "mapped"), [("linux", True), ("darwin", False), ("win32", False)])
def test_files_are_loaded_where_faiss_does_not_map(
    platform: str, mapped: bool, store: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_faiss(store, tmp_path, parse_backend("flat"))
    path, _ = faiss_paths(tmp_path, parse_backend("flat"))
    flags: list[int] = []
    read = faiss.read_index
    monkeypatch.setattr(faiss, "read_index", lambda name, flag: flags.append(flag) or read(name, 0))
    monkeypatch.setattr(sys, "platform", platform)
    assert filling.read_faiss(path, mapped=True).ntotal == ROWS
    assert flags == [faiss.IO_FLAG_MMAP_IFC if mapped else 0]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("family", [*INVERTED, *OTHERS])
def test_a_file_that_was_cut_is_refused(family: str, store: VectorStore, tmp_path: Path) -> None:
    """At any place; Faiss would end the process when it reads what is not there."""
    settings = parse_backend(family)
    build_faiss(store, tmp_path, settings)
    path, _ = faiss_paths(tmp_path, settings)
    whole = path.read_bytes()
    for kept in (0, 3, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(DamagedIndexError, match=path.name):
            open_faiss(store, tmp_path, settings)


def test_a_searcher_keeps_what_it_has_opened(store: VectorStore, tmp_path: Path) -> None:
    """Though the file is built again, or removed."""
    settings = parse_backend("ivf20+sq8,nprobe=20,rescore=3000")
    searcher = FaissSearcher(open_faiss(store, tmp_path, settings), store, lambda rows: rows, settings)
    queries = store.get(np.arange(5))
    before = searcher.search(queries, 10)[1]
    build_faiss(store, tmp_path, settings)
    np.testing.assert_array_equal(searcher.search(queries, 10)[1], before)
    faiss_paths(tmp_path, settings)[0].unlink()
    np.testing.assert_array_equal(searcher.search(queries, 10)[1], before)
