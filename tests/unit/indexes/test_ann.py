"""Faiss families against float64 brute force: their names, what they find, what may not be found, what was added later."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ance_ir.errors import DamagedIndexError, IndexingError, UsageError
from ance_ir.files import read_json, write_json
from ance_ir.indexes import AnceIndex
from ance_ir.indexes.ann import build, layers, recipe
from ance_ir.indexes.ann.build import build_faiss, faiss_paths, open_faiss
from ance_ir.indexes.ann.files import read_faiss
from ance_ir.indexes.ann.parts._part import KINDS, Part, Structure
from ance_ir.indexes.ann.recipe import recipe_of
from ance_ir.indexes.ann.searcher import FaissSearcher
from ance_ir.indexes.ann.settings import FaissSettings, known_backends, parse_backend, resolve
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter
from ance_ir.registries import FAISS_PARTS

ROWS = 700
DIMENSION = 16

ALONE = ["flat", "ivf", "hnsw", "fp16", "sq8", "rabitq", "pq", "opq"]
JOINED = ["ivf+fp16", "ivf+rabitq2", "ivf+sq8", "ivf+pq", "opq+ivf+pq", "hnsw+sq8", "hnsw+fp16"]
FAMILIES = [*ALONE, *JOINED]
SHORTER = ["pca8", "pca8+ivf", "pca8+opq+ivf", "matryoshka8", "matryoshka8+hnsw", "matryoshka8+ivf+sq8"]
OTHERS = [
    "IVF8,PQ8x4fs",
    "PQ8x4fs",
    "NSG16,Flat",
    "IVF8,Flat,RFlat",
    "RQ2x6",
    "IVF8,RQ2x6",
    "IVF8_HNSW8,Flat",
    "OPQ4_8,IVF4,PQ4x6",
    "L2norm,Flat",
]
ALL = [*FAMILIES, *SHORTER, *(f"faiss:{factory}" for factory in OTHERS)]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Unit vectors in clusters, some of them twice."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, DIMENSION))
    found = centres[rng.integers(0, 20, ROWS)] + 0.5 * rng.normal(size=(ROWS, DIMENSION))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found[rng.integers(0, ROWS, 60)] = found[rng.integers(0, ROWS, 60)]
    return found.astype(np.float32)


@pytest.fixture(scope="module")
def queries(vectors: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (vectors[rng.integers(0, ROWS, 12)] + 0.1 * rng.normal(size=(12, DIMENSION))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faiss files over the first rows (``small``) and all rows (``large``), built once."""
    return tmp_path_factory.mktemp("ann")


def make_store(folder: Path, vectors: np.ndarray) -> VectorStore:
    folder.mkdir(parents=True, exist_ok=True)
    writer = VectorWriter(folder, shard_bytes=300 * vectors.shape[1] * 4)
    writer.append(vectors)
    return VectorStore(folder, writer.finish())


def ties(rows: np.ndarray) -> np.ndarray:
    return (rows * 7919) % 10_007


def brute_force(vectors: np.ndarray, queries: np.ndarray, k: int, searchable: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """float64 scores, told apart as far as float32 can; equal ones by ``ties``; only rows that may be found."""
    rows = np.arange(len(vectors)) if searchable is None else np.flatnonzero(searchable)
    scores = np.einsum("qd,nd->qn", queries.astype(np.float64), vectors[rows].astype(np.float64)).astype(np.float32)
    order = np.lexsort((np.broadcast_to(ties(rows), scores.shape), -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), rows[order]


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean([np.isin(right, row).mean() for row, right in zip(found, expected, strict=True)]))


# names


@pytest.mark.parametrize(
    ("text", "written", "factory"),
    [
        ("flat", "flat", "Flat"),
        ("faiss", "flat", "Flat"),
        ("ivf", "ivf", "IVF256,Flat"),
        ("ivf+flat", "ivf", "IVF256,Flat"),
        ("sq8+ivf64", "ivf64+sq8", "IVF64,SQ8"),
        ("fp16", "fp16", "SQfp16"),
        ("hnsw", "hnsw", "HNSW32,Flat"),
        ("hnsw16+sq8, efSearch = 64", "hnsw16+sq8,efSearch=64", "HNSW16,SQ8"),
        ("pq", "pq", "PQ192"),
        ("pq48", "pq48", "PQ48"),
        ("opq48", "opq48", "OPQ48,PQ48"),
        ("opq+ivf+pq48", "opq48+ivf", "OPQ48,IVF256,PQ48"),
        ("pca64+ivf", "pca64+ivf", "PCA64,IVF256,Flat"),
        ("pca100+opq", "pca100+opq", "PCA100,OPQ25,PQ25"),
        ("rabitq", "rabitq", "RR768,RaBitQ2"),
        ("rabitq1+ivf", "ivf+rabitq1", "RR768,IVF256,RaBitQ"),
        ("ivf64+rabitq2+pca100", "pca100+ivf64+rabitq2", "PCA100,RR100,IVF64,RaBitQ2"),
        ("matryoshka64+rabitq4", "matryoshka64+rabitq4", "RR64,RaBitQ4"),
        ("matryoshka64", "matryoshka64+flat", "Flat"),
        ("ivf,rescore=0,nprobe=3", "ivf,nprobe=3,rescore=0", "IVF256,Flat"),
        ("hnsw,efConstruction=200", "hnsw,efConstruction=200", "HNSW32,Flat"),
        ("faiss:OPQ16_64,IVF256,PQ16,nprobe=16", "faiss:OPQ16_64,IVF256,PQ16,nprobe=16", "OPQ16_64,IVF256,PQ16"),
    ],
)
def test_names_and_what_faiss_is_told(text: str, written: str, factory: str) -> None:
    settings = parse_backend(text)
    assert str(settings) == written
    assert parse_backend(written) == settings
    assert recipe_of(settings, 10_000, 768).factory == factory
    assert recipe_of(settings, 10_000, 768).first == (64 if "matryoshka" in text else None)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''.*exact, tuned.*flat, fp16"),
        ("ivf+", "''"),
        ("IVF64,Flat", "'IVF64,Flat'"),
        ("flat3", "flat .*3"),
        ("ivf0", "ivf .*0"),
        ("pca+flat", "pca "),
        ("pca64+matryoshka32", "dimensions"),
        ("ivf+hnsw", "structure"),
        ("opq+sq8", "opq .*pq.*sq8"),
        ("opq16+pq8", "16 and 8"),
        ("hnsw1", "2 to 1024"),
        ("hnsw9999999", "2 to 1024"),
        ("faiss:HNSW1,Flat", "2 to 1024"),
        ("faiss:IVF4_HNSW1,Flat", "2 to 1024"),
        ("hnsw+pq", "hnsw .*pq.*hnsw"),
        ("hnsw+rabitq", "rabitq .*hnsw.*ivf"),
        ("rabitq10", "rabitq .*1 to 9.*10"),
        ("flat,nprobe=3", "flat.*nprobe .*ivf"),
        ("faiss:HNSW32,nprobe=3", "HNSW32.*nprobe .*ivf"),
        ("ivf,efSearch=3", "ivf.*efSearch .*hnsw"),
        ("ivf,nprobe=0", "nprobe .*1.*0"),
        ("ivf,nprobe=3,nprobe=4", "nprobe .*twice"),
        ("ivf,probes=3", "probes"),
        ("ivf,nprobe=-1", "'ivf,nprobe=-1'"),
        ("ivf,nprobe", "'ivf,nprobe'"),
        ("ivf nprobe=3", "'ivf nprobe=3'"),
        ("faiss:", "'faiss:'"),
    ],
)
def test_nonsense_is_refused(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_backend(text)


@pytest.mark.parametrize("name", FAISS_PARTS)
def test_every_part_is_complete(name: str) -> None:
    """It makes an index, alone or with the storage that it needs, and help and documentation name it."""
    part: Part = FAISS_PARTS[name]
    assert part.kind in KINDS
    number = max(8, part.bounds[0]) if part.takes else ""
    settings = parse_backend(f"{name}{number}")
    assert settings.parts[name] == (number or None)
    assert FaissSettings(family=settings.family) == settings
    assert layers.empty_index(recipe_of(settings, ROWS, DIMENSION), DIMENSION, settings).d == DIMENSION
    for other in (part.storage, *part.refuses):
        assert not other or other in FAISS_PARTS
    if isinstance(part, Structure):
        for option in part.options:
            assert parse_backend(f"{name},{option}=7").options == {option: 7}
    assert FAISS_PARTS.summary(name)
    written = f"{name}{part.takes if part.needed else f'[{part.takes}]' if part.takes else ''}"
    for text in (known_backends(), (Path(__file__).parents[3] / "docs" / "indexes.md").read_text(encoding="utf-8")):
        assert written in text


def test_every_family_of_parts_is_read_in_any_order_or_refused() -> None:
    parts = ["pca8", "matryoshka8", "opq", "ivf", "hnsw", "flat", "fp16", "sq8", "rabitq", "pq"]
    read = 0
    for count in (1, 2, 3, 4):
        for chosen in itertools.combinations(parts, count):
            found = set()
            for order in itertools.permutations(chosen):
                try:
                    found.add(parse_backend("+".join(order)))
                except UsageError:
                    found.add(None)
            assert len(found) == 1, chosen
            if settings := found.pop():
                read += 1
                assert parse_backend(str(settings)) == settings
                assert settings.lossless == (set(chosen) <= {"ivf", "hnsw", "flat"})
                index = layers.empty_index(recipe_of(settings, 5000, 32), 32, settings)
                assert (index.d, index.metric_type) == (32, faiss.METRIC_INNER_PRODUCT)
    assert read > 40


def test_numbers_that_are_left_out_go_with_the_corpus() -> None:
    rng = np.random.default_rng(0)
    for rows, dimension in zip(rng.integers(1, 10 ** rng.integers(1, 9, 300)), rng.integers(1, 2000, 300), strict=True):
        inverted = recipe_of(parse_backend("ivf"), int(rows), int(dimension)).factory
        lists = int(inverted.removeprefix("IVF").removesuffix(",Flat"))
        sample = recipe.training_rows(int(rows), int(dimension), lists)
        assert 1 <= lists <= max(1, 4 * np.sqrt(rows) + 1)
        assert lists == 1 or sample >= 39 * lists
        assert sample <= rows
        assert sample * dimension * 4 <= 1 << 30
        size = int(recipe_of(parse_backend("pq"), 10**6, int(dimension)).factory.removeprefix("PQ"))
        assert dimension % size == 0
    assert recipe_of(parse_backend("pq"), 200, 64).factory == "PQ16x7"
    with pytest.raises(UsageError, match="5 bytes do not divide 64 dimensions; 16 do"):
        recipe_of(parse_backend("pq5"), 200, 64)
    with pytest.raises(UsageError, match=r"pca65.*: the vectors have 64 dimensions"):
        recipe_of(parse_backend("pca65"), 200, 64)


def test_settings_that_are_built_differently_have_different_files() -> None:
    texts = ["ivf", "ivf64", "ivf+sq8", "hnsw", "hnsw,efConstruction=9", "faiss:IVF64,PQ16", "faiss:IVF64_PQ16", "faiss:IVF64,Flat"]
    slugs = {parse_backend(text).slug for text in texts}
    assert len(slugs) == len(texts)
    assert all(set(slug) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") for slug in slugs)
    assert parse_backend("ivf,nprobe=3,rescore=9").slug == parse_backend("ivf").slug


# what is found


@pytest.mark.parametrize("covered", ["large", "small"])
@pytest.mark.parametrize("family", ALL)
def test_every_family(family: str, covered: str, folder: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    """Only what may be found, each row once, best first, with exact scores; and most of what brute force finds."""
    store = make_store(folder / "store", vectors)
    first = make_store(folder / "first", vectors[:600]) if covered == "small" else store
    settings = parse_backend(family)
    file = open_faiss(first, folder / covered, settings)
    assert file.rows == len(first)
    rng = np.random.default_rng(2)
    for share in (None, 0.5, 0.05):
        searchable = None if share is None else rng.random(ROWS) < share
        searcher = FaissSearcher(file, store, ties, settings, searchable)
        for k in (1, 10, 5000):
            _, expected = brute_force(vectors, queries, k, searchable)
            scores, rows = searcher.search(queries, k)
            assert (scores.shape, scores.dtype, rows.dtype) == (expected.shape, np.float32, np.int64)
            found = rows >= 0
            assert (np.isneginf(scores) == ~found).all()
            assert (np.sort(~found, axis=1) == ~found).all()
            assert searchable is None or searchable[rows[found]].all()
            assert all(len(np.unique(row[row >= 0])) == (row >= 0).sum() for row in rows)
            assert (np.diff(scores, axis=1)[found[:, 1:]] <= 0).all()
            products = np.einsum("qd,qkd->qk", queries.astype(np.float64), vectors[rows].astype(np.float64))
            np.testing.assert_allclose(scores[found], products[found], atol=1e-6)
            assert recall(rows, expected) > 0.9
            if recall(rows, expected) == 1:
                np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("family", ["ivf,nprobe=999", "pq,rescore=700", "pca4,rescore=700", "matryoshka2+ivf+sq8,nprobe=999,rescore=700"])
def test_all_that_can_be_looked_at_gives_the_exact_ranking(
    family: str, folder: Path, vectors: np.ndarray, queries: np.ndarray, tmp_path: Path
) -> None:
    """Ties too, whatever the number of queries and however many rows came later."""
    store = make_store(tmp_path, vectors)
    settings = parse_backend(family)
    for count in (650, ROWS):
        file = open_faiss(make_store(tmp_path / str(count), vectors[:count]), tmp_path / f"faiss-{count}", settings)
        searcher = FaissSearcher(file, store, ties, settings)
        for k in (1, 7, 100, 699, ROWS):
            expected_scores, expected = brute_force(vectors, queries, k)
            scores, rows = searcher.search(queries, k)
            np.testing.assert_array_equal(rows, expected)
            np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
            np.testing.assert_array_equal(searcher.search(queries[3:4], k)[1][0], expected[3])


@pytest.mark.parametrize("family", ["flat", "ivf", "pq", "hnsw+sq8"])
def test_rows_that_came_later_and_rows_that_may_not_be_found(family: str, tmp_path: Path) -> None:
    """At random: any number of rows covered, any that may be found; every family finds all of what is asked for in so few rows."""
    rng = np.random.default_rng(5)
    settings = parse_backend(family if family == "flat" else f"{family},rescore=400")
    for number in range(12):
        total = int(rng.integers(300, 400))
        vectors = rng.integers(-2, 3, (total, 4)).astype(np.float32)
        queries = rng.integers(-2, 3, (3, 4)).astype(np.float32)
        covered, searchable = int(rng.integers(257, total + 1)), rng.random(total) < rng.random()
        store = make_store(tmp_path / f"{number}", vectors)
        file = open_faiss(make_store(tmp_path / f"{number}-first", vectors[:covered]), tmp_path / f"{number}-faiss", settings)
        k = int(rng.integers(1, 400 if number % 2 else 12))
        expected_scores, expected = brute_force(vectors, queries, k, searchable)
        scores, rows = FaissSearcher(file, store, ties, settings, searchable).search(queries, k)
        if family == "hnsw+sq8":  # a graph over so many equal vectors falls apart
            assert recall(rows, expected) > 0.5 or not expected.size
            continue
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_allclose(scores, expected_scores, atol=1e-6)


def test_equal_rows_that_came_later_are_in_order(tmp_path: Path) -> None:
    vectors = np.ones((300, 4), dtype=np.float32)
    settings = parse_backend("flat")
    file = open_faiss(make_store(tmp_path / "first", vectors[:10]), tmp_path, settings)
    searchable = np.arange(300) % 3 > 0
    for allowed in (None, searchable):
        searcher = FaissSearcher(file, make_store(tmp_path / "all", vectors), ties, settings, allowed)
        np.testing.assert_array_equal(searcher.search(vectors[:2], 20)[1], brute_force(vectors, vectors[:2], 20, allowed)[1])


def test_nothing_may_be_found_and_nothing_is_asked(folder: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    store = make_store(folder / "store", vectors)
    for family in ("flat", "pq", "pq,rescore=0", "hnsw"):
        settings = parse_backend(family)
        file = open_faiss(store, folder / "large", settings)
        assert FaissSearcher(file, store, ties, settings, np.zeros(ROWS, dtype=bool)).search(queries, 5)[1].shape == (12, 0)
        assert FaissSearcher(file, store, ties, settings).search(queries[:0], 5)[1].shape == (0, 5)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_queries_without_finite_scores_are_refused(value: float, folder: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    settings = parse_backend("ivf")
    store = make_store(folder / "store", vectors)
    spoilt = queries.copy()
    spoilt[4, :2] = value
    with pytest.raises(UsageError, match=r"query vector 4 .*not finite"):
        FaissSearcher(open_faiss(store, folder / "large", settings), store, ties, settings).search(spoilt, 5)


def test_few_probes_are_padded(folder: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    store = make_store(folder / "store", vectors)
    settings = parse_backend("ivf,nprobe=1")
    scores, rows = FaissSearcher(open_faiss(store, folder / "large", settings), store, ties, settings).search(queries, ROWS)
    found = rows >= 0
    assert found[:, 0].all()
    assert found.sum() < rows.size / 4
    assert np.isneginf(scores[~found]).all()


def test_more_probes_and_candidates_find_more(tmp_path: Path) -> None:
    """And the defaults find nearly all."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(4000, 24)).astype(np.float32)
    queries = rng.normal(size=(50, 24)).astype(np.float32)
    store = make_store(tmp_path, vectors)
    _, expected = brute_force(vectors, queries, 10)

    def found(backend: str) -> float:
        settings = parse_backend(backend)
        return recall(FaissSearcher(open_faiss(store, tmp_path, settings), store, ties, settings).search(queries, 10)[1], expected)

    assert found("ivf,nprobe=1") < found("ivf,nprobe=8") < found("ivf,nprobe=64") < 1 == found("ivf,nprobe=9999")
    assert found("ivf") == found("ivf,nprobe=40") > 0.94
    assert found("hnsw,efSearch=1") < found("hnsw,efSearch=32") < found("hnsw") == found("hnsw,efSearch=143")
    assert found("pq3,rescore=0") < found("pq3,rescore=20") < found("pq3") == found("pq3,rescore=100")
    assert found("hnsw") > 0.9


def test_a_query_finds_the_same_alone(tmp_path: Path) -> None:
    """Though others that are asked with it have ties to settle, for which a graph is searched deeper."""
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(3000, 24)).astype(np.float32)
    vectors[:300] = vectors[0]
    queries = np.concatenate([rng.normal(size=(30, 24)), vectors[:1]]).astype(np.float32)
    store = make_store(tmp_path, vectors)
    for family in ("flat", "ivf,nprobe=2", "hnsw16,efSearch=10"):
        settings = parse_backend(family)
        searcher = FaissSearcher(open_faiss(store, tmp_path, settings), store, ties, settings)
        _, together = searcher.search(queries, 10)
        for query, row in zip(queries, together, strict=True):
            np.testing.assert_array_equal(searcher.search(query[None], 10)[1][0], row)


@pytest.mark.parametrize("family", ["hnsw", "hnsw+sq8", "matryoshka12+hnsw"])
def test_a_graph_finds_what_few_rows_are_left(family: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(3000, 12)).astype(np.float32)
    queries = rng.normal(size=(30, 12)).astype(np.float32)
    store = make_store(tmp_path, vectors)
    settings = parse_backend(family)
    file = open_faiss(store, tmp_path, settings)
    for share in (0.5, 0.1, 0.01):
        searchable = rng.random(3000) < share
        rows = FaissSearcher(file, store, ties, settings, searchable).search(queries, 20)[1]
        assert recall(rows, brute_force(vectors, queries, 20, searchable)[1]) > 0.97


def test_principal_components_keep_the_order_of_inner_products(tmp_path: Path) -> None:
    """Vectors around a mean far from zero, in a plane of 3 dimensions: 3 components lose nothing."""
    rng = np.random.default_rng(6)
    vectors = (3 * rng.normal(size=16) + rng.normal(size=(500, 3)) @ rng.normal(size=(3, 16))).astype(np.float32)
    queries = rng.normal(size=(20, 16)).astype(np.float32)
    store = make_store(tmp_path, vectors)
    for family in ("pca3,rescore=0", "faiss:PCA3,Flat,rescore=0"):
        settings = parse_backend(family)
        rows = FaissSearcher(open_faiss(store, tmp_path, settings), store, ties, settings).search(queries, 10)[1]
        assert recall(rows, brute_force(vectors, queries, 10)[1]) > 0.99


def test_the_first_dimensions_are_those_that_are_compared(tmp_path: Path, queries: np.ndarray) -> None:
    vectors = np.random.default_rng(0).normal(size=(500, DIMENSION)).astype(np.float32)
    store = make_store(tmp_path, vectors)
    settings = parse_backend("matryoshka5+flat,rescore=0")
    scores, rows = FaissSearcher(open_faiss(store, tmp_path, settings), store, ties, settings).search(queries, 10)
    expected_scores, expected = brute_force(vectors[:, :5], queries[:, :5], 10)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)


def test_what_is_cut_off_unit_vectors_is_normalised_anew(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    vectors, queries = (rng.normal(size=(rows, DIMENSION)) * np.linspace(2, 0.5, DIMENSION) for rows in (600, 20))
    vectors, queries = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (vectors, queries))
    cut_vectors, cut_queries = (part[:, :4] / np.linalg.norm(part[:, :4], axis=1, keepdims=True) for part in (vectors, queries))
    vectors, queries, cut_vectors, cut_queries = (part.astype(np.float32) for part in (vectors, queries, cut_vectors, cut_queries))
    expected_scores, expected = brute_force(cut_vectors, cut_queries, 10)
    store = make_store(tmp_path, vectors)
    for family in ("matryoshka4+flat,rescore=0", "matryoshka4+ivf,nprobe=99,rescore=0"):
        settings = parse_backend(family)
        for _ in range(2):  # built, then read
            scores, rows = FaissSearcher(open_faiss(store, tmp_path, settings), store, ties, settings).search(queries, 10)
            np.testing.assert_array_equal(rows, expected)
            np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
    settings = parse_backend("matryoshka4+flat,rescore=0")
    told = faiss_paths(tmp_path, settings)[1]
    write_json(told, {name: value for name, value in read_json(told).items() if name != "normalized"})
    open_faiss(store, tmp_path, settings)
    assert read_json(told)["normalized"] is True, "a file of a version that did not normalise is made anew"


# building


@pytest.mark.parametrize("family", ["matryoshka8", "matryoshka32+ivf2", "pca8", "faiss:L2norm,Flat", "faiss:L2norm,IVF2,PQ4x2"])
def test_a_file_smaller_than_a_matrix_of_its_dimensions_is_read(tmp_path: Path, family: str) -> None:
    store = make_store(tmp_path, np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32))
    build_faiss(store, tmp_path, parse_backend(family))
    (path,) = tmp_path.glob("*.index")
    assert read_faiss(path).ntotal == 40


def test_the_sample_is_drawn_over_the_whole_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[np.ndarray] = []
    inner = VectorStore.get

    def recorded(self: VectorStore, rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return inner(self, rows)

    monkeypatch.setattr(VectorStore, "get", recorded)
    monkeypatch.setattr(build, "are_unit", lambda store: False)  # looks at vectors of its own
    monkeypatch.setattr(recipe, "_AT_LEAST", 1000)
    monkeypatch.setattr(recipe, "PER_LIST", 40)
    store = make_store(tmp_path, np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32))
    samples = []
    for family in ("ivf10", "ivf40", "pca2+ivf10"):
        build_faiss(store, tmp_path, parse_backend(family))
        samples.append(asked[-1])  # what is asked before is whether vectors have length 1
        assert read_json(tmp_path / f"{parse_backend(family).slug}.json")["trained_on"] == len(samples[-1])
    assert [len(rows) for rows in samples] == [1000, 1600, 1000]
    np.testing.assert_array_equal(samples[0], samples[2])
    for rows in samples:
        assert (np.diff(rows) > 0).all()
        assert (np.histogram(rows, bins=10, range=(0, 5000))[0] > len(rows) / 10 * 0.7).all()


@pytest.mark.parametrize("family", ["ivf+pq", "opq+ivf", "pca8+sq8", "hnsw"])
def test_the_same_vectors_make_the_same_file(family: str, tmp_path: Path, vectors: np.ndarray) -> None:
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        store = make_store(tmp_path, vectors)
        settings = parse_backend(family)
        for name in ("a", "b"):
            build_faiss(store, tmp_path / name, settings)
    finally:
        faiss.omp_set_num_threads(threads)
    path, _ = faiss_paths(tmp_path / "a", settings)
    assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_building_is_quiet(tmp_path: Path, vectors: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path, vectors)
    for family in ("ivf+pq", "opq+ivf30", "pca8+opq"):
        build_faiss(store, tmp_path, parse_backend(family))
    assert capfd.readouterr() == ("", "")
    build_faiss(store, tmp_path, parse_backend("ivf"), verbose=True)
    assert "building ivf" in capfd.readouterr().err


def test_codes_are_trained_for_what_is_searched(vectors: np.ndarray) -> None:
    """Not for polysemous search too, which takes most of the time."""
    codes = recipe_of(parse_backend("pq"), ROWS, DIMENSION)
    index = layers.empty_index(codes, DIMENSION, parse_backend("pq"))
    layers.train(index, vectors, codes)
    assert not index.do_polysemous_training
    assert index.is_trained


def test_what_is_built_is_told(tmp_path: Path, vectors: np.ndarray) -> None:
    store = make_store(tmp_path, vectors)
    settings = parse_backend("matryoshka8+hnsw,efConstruction=33,efSearch=5")
    file = open_faiss(store, tmp_path, settings)
    told = read_json(tmp_path / "matryoshka8-hnsw-efc33.json")
    assert told.items() >= {"family": "matryoshka8+hnsw", "factory": "HNSW32,Flat", "first_dimensions": 8, "rows": ROWS}.items()
    assert told["bytes"] == file.size == (tmp_path / "matryoshka8-hnsw-efc33.index").stat().st_size
    assert file.seconds == told["build_seconds"] > 0
    *_, last = layers.layers(file.index)
    assert last.hnsw.efConstruction == 33
    open_faiss(store, tmp_path, parse_backend("hnsw"))
    assert faiss.read_index(str(tmp_path / "hnsw.index")).hnsw.efConstruction == 100


@pytest.mark.parametrize(
    ("backend", "error", "message"),
    [
        ("ivf900", IndexingError, "Faiss cannot train IVF900,Flat on 700 vectors .*; choose fewer lists"),
        ("faiss:OPQ4_800,PQ4", IndexingError, "a rotation of 800 dimensions needs as many vectors to train on, not 700"),
        ("faiss:PQ4x10", IndexingError, "Faiss cannot train PQ4x10 on 700 vectors"),
        ("faiss:Annoy", UsageError, "faiss:Annoy: Faiss makes no index for inner products of 'Annoy'"),
        ("faiss:IVF256,S" + "iv" * 9000, UsageError, "1000 characters.*18008"),  # Faiss ends the process
        ("faiss:LSH", UsageError, "Faiss makes no index for inner products of 'LSH'"),
        ("faiss:HNSW16_PQ4", UsageError, "IndexHNSWPQ does not compare rows by inner products"),
        ("faiss:IDMap,Flat", UsageError, "IndexIDMap does not compare rows by inner products"),
    ],
)
def test_what_cannot_be_built_is_refused(
    backend: str, error: type[Exception], message: str, folder: Path, tmp_path: Path, vectors: np.ndarray
) -> None:
    store = make_store(folder / "store", vectors)
    with pytest.raises(error, match=message):
        open_faiss(store, tmp_path, parse_backend(backend))
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_few_vectors_are_enough_for_short_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for rows in (1, 2, 5, 40):
        vectors = rng.normal(size=(rows, 8)).astype(np.float32)
        store = make_store(tmp_path / str(rows), vectors)
        for family in (
            ["flat", "ivf", "hnsw", "sq8", "fp16", "ivf+sq8", "hnsw+sq8", "matryoshka2"]
            + ["pq", "ivf+pq"] * (rows > 1)
            + ["opq"] * (rows > 8)
        ):
            settings = parse_backend(family)
            searcher = FaissSearcher(open_faiss(store, tmp_path / str(rows), settings), store, ties, settings)
            found = searcher.search(vectors[:1], 50)[1]
            assert sorted(found[0]) == list(range(rows)), family


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no Faiss file": (
        lambda folder: (folder / "ivf.index").unlink(),
        "Faiss cannot read it .*; remove it and ivf.json",
    ),
    "not a Faiss file": (lambda folder: (folder / "ivf.index").write_bytes(b"nothing"), "Faiss cannot read it"),
    "broken JSON": (lambda folder: (folder / "ivf.json").write_text("{"), "ivf.json: .*remove it and ivf.index"),
    "empty JSON": (lambda folder: (folder / "ivf.json").write_text("[]"), "ivf.json: .*remove it and ivf.index"),
    "other rows": (
        lambda folder: alter(folder / "ivf.json", rows=9),
        "expected at most 700 vectors of 16 dimensions, found 700 vectors of 16",
    ),
    "other family": (lambda folder: alter(folder / "ivf.json", family="ivf9"), "remove the file and ivf.json"),
}


def alter(path: Path, **values: Any) -> None:
    write_json(path, {**read_json(path), **values})


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(damage: str, tmp_path: Path, vectors: np.ndarray) -> None:
    store = make_store(tmp_path / "store", vectors)
    settings = parse_backend("ivf")
    build_faiss(store, tmp_path, settings)
    spoil, message = DAMAGES[damage]
    spoil(tmp_path)
    with pytest.raises(DamagedIndexError, match=message):
        open_faiss(store, tmp_path, settings)


def test_a_file_of_other_vectors_is_refused(tmp_path: Path, vectors: np.ndarray) -> None:
    store = make_store(tmp_path / "store", vectors)
    settings = parse_backend("flat")
    build_faiss(store, tmp_path, settings)
    with pytest.raises(DamagedIndexError, match=r"600 vectors of 16 .*700 vectors of 16"):
        open_faiss(make_store(tmp_path / "fewer", vectors[:600]), tmp_path, settings)
    with pytest.raises(DamagedIndexError, match=r"700 vectors of 8 .*700 vectors of 16"):
        open_faiss(make_store(tmp_path / "narrower", vectors[:, :8]), tmp_path, settings)


def test_a_build_that_was_broken_off_is_begun_again(tmp_path: Path, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "store", vectors)
    settings = parse_backend("sq8")

    def full(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(build, "write_json", full)
        with pytest.raises(OSError, match="Input/output error"):
            open_faiss(store, tmp_path, settings)
    (tmp_path / "sq8.index").write_bytes(b"half")
    assert open_faiss(store, tmp_path, settings).rows == ROWS
    build_faiss(make_store(tmp_path / "fewer", vectors[:600]), tmp_path, settings)
    assert open_faiss(store, tmp_path, settings).rows == 600
    with monkeypatch.context() as patch:
        patch.setattr(build, "write_json", full)
        with pytest.raises(OSError, match="Input/output error"):
            build_faiss(store, tmp_path, settings)
    assert open_faiss(store, tmp_path, settings).rows == ROWS


# on a GPU


class Gpu:
    """What faiss-gpu does, for a process without one: the index it is given, which counts its searches and tells no rows apart."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self.searches = 0

    def search(self, queries_QD: np.ndarray, count: int, params: Any) -> Any:
        assert params is None or getattr(params, "sel", None) is None
        assert count <= 2048
        self.searches += 1
        return self.index.search(queries_QD, count, params=params)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The numbers of the GPUs that indexes were moved to."""
    moved: list[int] = []

    def move(_: Any, number: int, index: Any) -> Gpu:
        if "HNSW" in type(faiss.downcast_index(index)).__name__:
            raise RuntimeError("This index type is not implemented on GPU.")
        moved.append(number)
        return Gpu(index)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", move, raising=False)
    yield moved


def test_a_gpu_is_used_where_there_is_one(gpu: list[int], tmp_path: Path, queries: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, DIMENSION)).astype(np.float32)
    store = make_store(tmp_path, vectors)
    for device, settings in (("cuda:1", parse_backend("ivf,nprobe=999")), ("cuda", parse_backend("sq8,rescore=3000"))):
        file = open_faiss(store, tmp_path, settings, device=device)
        searchable = np.random.default_rng(0).random(3000) < 0.5
        for k, allowed in ((10, None), (2500, None), (10, searchable)):
            found = FaissSearcher(file, store, ties, settings, allowed).search(queries, k)[1]
            np.testing.assert_array_equal(found, brute_force(vectors, queries, k, allowed)[1])
        assert (file.on_gpu.searches > 0) == (device == "cuda:1")  # 3,000 rows are more than it finds
    assert gpu == [1, 0] and not caplog.records
    assert open_faiss(store, tmp_path, parse_backend("hnsw"), device="cuda").on_gpu is None
    assert [(record.levelno, "not implemented on GPU" in record.getMessage()) for record in caplog.records] == [(logging.WARNING, True)]
    assert open_faiss(store, tmp_path, parse_backend("ivf"), device="cpu").on_gpu is None


def test_without_a_gpu_the_cpu_searches(tmp_path: Path, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert open_faiss(make_store(tmp_path, vectors), tmp_path, parse_backend("flat"), device="cuda").on_gpu is None


# in an index


def filled(folder: Path, vectors: np.ndarray) -> AnceIndex:
    return AnceIndex(folder).index(rows_of(vectors))


def rows_of(vectors: np.ndarray, first: int = 0) -> list[dict[str, Any]]:
    return [{"docno": f"d{first + number}", "doc_vec": vector} for number, vector in enumerate(vectors)]


@pytest.mark.parametrize("backend", ["flat", "ivf,nprobe=999", "sq8", "hnsw"])
def test_an_index_that_changes(backend: str, tmp_path: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    """The Faiss file of the first state serves additions and deletions; a compaction builds another."""
    index = filled(tmp_path / "x", vectors[:500])

    def check() -> None:
        expected_scores, expected = index.search_vectors(queries, 20)
        scores, found = index.search_vectors(queries, 20, index.searcher(backend))
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(scores, expected_scores, atol=1e-6)

    check()
    (file,) = (tmp_path / "x").glob("faiss-*/*.index")
    made = file.stat().st_mtime_ns
    index.delete([f"d{number}" for number in range(0, 500, 3)])
    check()
    index.add(rows_of(vectors[500:], 500))
    check()
    index.delete(["d600", "d601"])
    check()
    assert file.stat().st_mtime_ns == made
    index.compact()
    check()
    assert not file.exists()


def test_a_family_is_read_once(tmp_path: Path, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    index = filled(tmp_path / "x", vectors)
    read: list[str] = []
    inner = faiss.read_index
    monkeypatch.setattr(faiss, "read_index", lambda path, *flags: read.append(path) or inner(path, *flags))
    for backend in ("ivf", "ivf,nprobe=3", "ivf,rescore=9", "flat", "faiss"):
        index.searcher(backend)
    assert len(read) == 2


def test_the_tuned_backend(tmp_path: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    index = filled(tmp_path / "x", vectors)
    with pytest.raises(IndexingError, match=r"`ance-ir index tune .*x --dataset D`"):
        index.searcher("tuned")
    write_json(tmp_path / "x" / "search.json", {"backend": "hnsw+sq8,efSearch=77,rescore=30"})
    assert resolve(tmp_path / "x", "tuned") == FaissSettings(family="hnsw+sq8", ef_search=77, rescore=30)
    assert index.search_vectors(queries, 5, index.searcher("tuned"))[1].shape == (12, 5)
    write_json(tmp_path / "x" / "search.json", {"backend": "exact"})
    assert resolve(tmp_path / "x", "tuned") is None is resolve(tmp_path / "x", "exact")
    for broken in ("[]", "{", '{"backend": "annoy"}', "{}"):
        (tmp_path / "x" / "search.json").write_text(broken, encoding="utf-8")
        with pytest.raises(DamagedIndexError, match=r"search.json: expected .*; tune the index again"):
            resolve(tmp_path / "x", "tuned")
