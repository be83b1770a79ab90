"""Corpus graphs: the neighbours of brute force, whatever the index and its changes; whole, resumed, and of the index as it is."""

from __future__ import annotations

import errno
import importlib
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.cli._options import NEIGHBOURS
from ance_ir.errors import DamagedIndexError, DocumentNotFoundError, IndexingError, MissingDependencyError, UsageError
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.ann.settings import TUNED
from ance_ir.indexes.graph import MOST_NEIGHBOURS, neighbours, opening
from ance_ir.indexes.graph.neighbours import SelfSearch
from ance_ir.indexes.store.vectors import VectorType
from ance_ir.models import Encoding, TextSettings
from tests.command import Run
from tests.tiny import encoder

pytest.importorskip("pyterrier_adaptive", reason="pyterrier-adaptive is not installed: pip install 'ance_ir[adaptive]'")

DIMENSION = 6
CUT = Encoding(model="m", fingerprint="f" * 64, similarity="dot", passages="MaxP(8, 3)", precision="float32", text=TextSettings())
Vectors = dict[str, np.ndarray]


def documents(count: int, *, passages: int = 1, seed: int = 0) -> Vectors:
    """Vectors of all lengths; every fifth document is equal to the one before it."""
    generator = np.random.default_rng(seed)
    made: Vectors = {}
    for number in range(count):
        rows = generator.integers(1, passages + 1)
        vectors = (generator.normal(size=(rows, DIMENSION)) * generator.uniform(0.1, 9, size=(rows, 1))).astype(np.float32)
        made[f"d{number}"] = made[f"d{number - 1}"] if number % 5 == 4 else vectors
    return made


def rows_of(made: Vectors, *, cut: bool) -> list[dict[str, Any]]:
    if not cut:
        return [{"docno": docno, "doc_vec": vectors[0]} for docno, vectors in made.items()]
    pairs = ((docno, place, vector) for docno, vectors in made.items() for place, vector in enumerate(vectors))
    return [{"docno": f"{docno}#{place}", "doc_vec": vector, "encoding": CUT} for docno, place, vector in pairs]


def build(path: Path, made: Vectors, *, cut: bool = False, dtype: VectorType = "float32") -> AnceIndex:
    return AnceIndex(path, dtype=dtype).index(rows_of(made, cut=cut))


def expected(made: Vectors, k: int) -> dict[str, list[tuple[str, float]]]:
    """By brute force: cosines of all pairs of passages, the best of two documents, ties by docno, last first."""
    unit = {docno: vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True) for docno, vectors in made.items()}
    found = {}
    for docno in made:
        best = [(round(float((unit[docno] @ unit[other].T).max()), 6), other) for other in made if other != docno]
        found[docno] = [(other, cosine) for cosine, other in sorted(best, reverse=True)[:k]]
    return found


def assert_neighbours(graph: Any, made: Vectors, k: int) -> None:
    assert graph.edges_data.shape == graph.weights_data.shape == (len(made), k)
    for docno, nearest in expected(made, k).items():
        found, weights = graph.neighbours(docno, weights=True)
        assert found.tolist()[: len(nearest)] == [other for other, _ in nearest]
        np.testing.assert_allclose(weights[: len(nearest)].astype(float), [cosine for _, cosine in nearest], atol=1e-3)
        assert set(found.tolist()[len(nearest) :]) <= {docno}
        assert not weights[len(nearest) :].any()


@pytest.mark.parametrize(("cut", "dtype"), [(False, "float32"), (True, "float32"), (True, "float16")])
def test_neighbours_are_those_of_brute_force_after_any_change(
    cut: bool, dtype: VectorType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_ROWS", 16)
    made = documents(60, passages=4 if cut else 1)
    made = {docno: vectors.astype(dtype).astype(np.float32) for docno, vectors in made.items()}
    index = build(tmp_path / "x", made, cut=cut, dtype=dtype)
    assert_neighbours(index.corpus_graph(5), made, 5)
    gone = ["d0", "d17", "d18", "d59"]
    index.delete(gone)
    made = {docno: vectors for docno, vectors in made.items() if docno not in gone}
    assert_neighbours(index.corpus_graph(5), made, 5)
    added = {f"n{number}": vectors.astype(dtype).astype(np.float32) for number, vectors in enumerate(documents(9, seed=1).values())}
    index.add(rows_of(added, cut=cut))
    assert_neighbours(index.corpus_graph(5), made | added, 5)
    index.compact()
    assert_neighbours(AnceIndex(tmp_path / "x").corpus_graph(5), made | added, 5)
    assert len(list((tmp_path / "x").glob("graph-*"))) == 1, "those of earlier states are gone"


@pytest.mark.parametrize("count", [1, 3])
def test_a_document_with_too_few_neighbours_is_followed_by_itself(count: int, tmp_path: Path) -> None:
    made = documents(count)
    assert_neighbours(build(tmp_path / "x", made).corpus_graph(4), made, 4)


def test_any_part_of_a_graph_is_found_in_one_of_more_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = documents(30)
    index = build(tmp_path / "x", made)
    index.corpus_graph(9)
    monkeypatch.setattr(SelfSearch, "neighbours", None)
    assert_neighbours(AnceIndex(tmp_path / "x").corpus_graph(4), made, 4)
    with pytest.raises(TypeError):
        index.corpus_graph(10)


@pytest.mark.parametrize("unit", [False, True])
def test_faiss_finds_the_same_neighbours(unit: bool, tmp_path: Path) -> None:
    made = documents(60)
    if unit:
        made = {docno: vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for docno, vectors in made.items()}
    index = build(tmp_path / "x", made)
    assert_neighbours(index.corpus_graph(5, backend="hnsw,efSearch=64"), made, 5)
    assert sorted(path.name for path in (tmp_path / "x").glob("*-*/")) == ["faiss-00000", "graph-00000-hnsw-efSearch-64"][not unit :]


def test_a_build_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_ROWS", 8)
    made, find, told = documents(30), SelfSearch.neighbours, []
    whole = build(tmp_path / "y", made).corpus_graph(4).path
    calls = itertools.count()

    def killed(self: SelfSearch, first: int, end: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return find(self, first, end, k)

    monkeypatch.setattr(SelfSearch, "neighbours", killed)
    index = build(tmp_path / "x", made)
    with pytest.raises(KeyboardInterrupt):
        index.corpus_graph(4)
    assert not any("building" in name for name, _ in index._package_files())
    path = index.corpus_graph(4, told=lambda done, total: told.append((done, total))).path
    assert next(calls) == 5, "two blocks, the one that was killed, and the two that were left"
    assert told == [(0, 30), (8, 30), (16, 30), (24, 30), (30, 30)]
    for one in sorted(path.iterdir()):
        assert one.name == "pt_meta.json" or one.read_bytes() == (whole / one.name).read_bytes()
    assert [one.name for one in (tmp_path / "x").glob("graph-*")] == [path.name]


def test_a_build_for_another_number_of_neighbours_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_ROWS", 8)
    made = documents(30)
    index = build(tmp_path / "x", made)
    with monkeypatch.context() as patch:
        patch.setattr(opening, "make_once", lambda folder, made, make, why: make())
        patch.setattr("ance_ir.indexes.graph.building.atomic_folder", None)
        with pytest.raises(TypeError):
            index.corpus_graph(4)
    assert_neighbours(index.corpus_graph(6), made, 6)


def test_no_graph_of_a_state_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = documents(20)
    index, other = build(tmp_path / "x", made), AnceIndex(tmp_path / "x")
    assert len(index) == 20, "it is opened"
    other.delete(["d3"])
    with pytest.raises(IndexingError, match=r"has changed.*reopen"):
        index.corpus_graph(4)
    index.reopen()
    monkeypatch.setattr(SelfSearch, "blocks", lambda self, k: iter([(0, 10), (10, 20)]))
    find = SelfSearch.neighbours

    def changed(self: SelfSearch, first: int, end: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        if first:
            other.delete(["d4"])
        return find(self, first, end, k)

    with monkeypatch.context() as patch:
        patch.setattr(SelfSearch, "neighbours", changed)
        with pytest.raises(IndexingError, match="has changed"):
            index.corpus_graph(4)
    index.reopen()
    del made["d3"], made["d4"]
    assert_neighbours(index.corpus_graph(4), made, 4)


def test_a_graph_that_was_opened_before_a_change_is_spoken_of(tmp_path: Path) -> None:
    """By our scorer, which its deleted documents reach through another tool."""
    made, model = documents(20), encoder(head=DIMENSION)
    index = build(tmp_path / "x", made)
    graph = index.corpus_graph(4)
    index.delete(["d3"])
    scorer = index.scorer(model, check=False)
    names = [docno for docno in made if docno != "d3"]
    first = pd.DataFrame({"qid": "1", "query": "a", "docno": names, "score": np.arange(19.0)[::-1], "rank": np.arange(19)})
    gar = importlib.import_module("pyterrier_adaptive").GAR
    with pytest.raises(DocumentNotFoundError, match=r"'d3'.*corpus graph"):
        gar(scorer, graph, num_results=20)(first)
    assert sorted(gar(scorer, index.corpus_graph(4), num_results=20)(first)["docno"]) == sorted(names)


def test_another_index_at_the_same_place_has_no_graph_of_the_first(tmp_path: Path) -> None:
    build(tmp_path / "x", documents(20)).corpus_graph(4)
    graph = next((tmp_path / "x").glob("graph-*"))
    made = documents(20, seed=5)
    index = build(tmp_path / "y", made)
    graph.rename(tmp_path / "y" / graph.name)
    assert_neighbours(index.corpus_graph(4), made, 4)


@pytest.mark.parametrize("name", ["edges.u32.np", "weights.f16.np", "pt_meta.json"])
def test_damaged_files_are_named(name: str, tmp_path: Path) -> None:
    path = build(tmp_path / "x", documents(20)).corpus_graph(4).path
    (path / name).write_bytes((path / name).read_bytes()[:-4])
    with pytest.raises(DamagedIndexError, match=name):
        AnceIndex(tmp_path / "x").corpus_graph(4)


def test_numbers_of_documents_that_there_are_not_are_refused(tmp_path: Path) -> None:
    path = build(tmp_path / "x", documents(20)).corpus_graph(4).path
    np.full(80, 20, dtype=np.uint32).tofile(path / "edges.u32.np")
    with pytest.raises(DamagedIndexError, match="20 documents"):
        AnceIndex(tmp_path / "x").corpus_graph(4)


def test_it_is_an_artifact_and_goes_where_its_index_goes(tmp_path: Path) -> None:
    made = documents(20)
    index = build(tmp_path / "x", made)
    path = index.corpus_graph(4).path
    assert_neighbours(pt.Artifact.load(path), made, 4)
    assert (index.save(tmp_path / "y").folder / path.name / "pt_meta.json").exists()


def test_what_is_no_graph_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build(tmp_path / "x", documents(5))
    wrong: Any
    for wrong in (0, True, 1.5, "16", 1001):
        with pytest.raises(UsageError, match="neighbours"):
            index.corpus_graph(wrong)
    with pytest.raises(UsageError, match="nonsense"):
        index.corpus_graph(4, backend="nonsense")
    for cluster in ("ray", "ray://localhost:6379"):
        with pytest.raises(UsageError, match=f"by exact, tuned or a family .* not by '{cluster}'"):
            index.corpus_graph(4, backend=cluster)
    assert not [*index.folder.glob("graph-*")], "nothing is made for what is refused"
    monkeypatch.setitem(sys.modules, "pyterrier_adaptive", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ance_ir\[adaptive\]'"):
        index.corpus_graph(4)


def test_tuning_again_is_followed(tmp_path: Path) -> None:
    index = build(tmp_path / "x", documents(20))
    for chosen in ("exact", "flat"):
        (index.folder / TUNED).write_text(json.dumps({"backend": chosen}))
        graph = index.corpus_graph(4, backend="tuned")
        assert (graph.meta["backend"], graph.path) == (chosen, index.corpus_graph(4, backend=chosen).path)
        assert AnceIndex(index.folder).corpus_graph(4, backend="tuned").path == graph.path


@pytest.mark.parametrize("cut", [False, True])
def test_blocks_are_smaller_for_more_neighbours(cut: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_PAIRS", 60)
    made = documents(30, passages=4 if cut else 1)
    index = build(tmp_path / "x", made, cut=cut)
    sizes, find = [], SelfSearch._search

    def counted(self: SelfSearch, rows_R: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(rows_R) * count)
        return find(self, rows_R, count)

    monkeypatch.setattr(SelfSearch, "_search", counted)
    assert_neighbours(index.corpus_graph(9), made, 9)
    assert max(sizes) <= 60
    assert_neighbours(index.corpus_graph(99), made, 99)


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = documents(20)
    index = build(tmp_path / "x", made)
    index.corpus_graph(4)
    opened = Path.open

    def mounted(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if self.is_relative_to(index.folder) and set(mode) & set("wax+"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        return opened(self, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", mounted)
    with pytest.raises(IndexingError, match=r"cannot be written.* copy the index .*-k 5 --backend exact"):
        index.corpus_graph(5)
    assert_neighbours(AnceIndex(index.folder).corpus_graph(4), made, 4)


def test_no_documents_have_no_graph(tmp_path: Path) -> None:
    index = build(tmp_path / "x", documents(5))
    index.delete([f"d{number}" for number in range(5)])
    with pytest.raises(IndexingError, match="holds no documents"):
        index.corpus_graph(4)
    assert not [*index.folder.glob("graph-*")]


def test_the_command(tmp_path: Path, run: Run) -> None:
    made = documents(20)
    index = build(tmp_path / "x", made)
    assert "20 documents, 3 neighbours" in run("index", "graph", index.folder, "-k", 3, "--backend", "flat")[1]
    assert_neighbours(index.corpus_graph(3, backend="flat"), made, 3)
    assert NEIGHBOURS.max == MOST_NEIGHBOURS
    assert run("index", "graph", index.folder, "-k", MOST_NEIGHBOURS + 1)[0] == 2
