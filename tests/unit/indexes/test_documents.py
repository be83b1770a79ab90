"""The best k documents by every aggregation: those of float64 brute force over all passages, and no search deeper than it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from ance_ir.errors import UsageError
from ance_ir.indexes.search import aggregation as aggregation_module
from ance_ir.indexes.search import documents as documents_module
from ance_ir.indexes.search.aggregation import Aggregation, First, Max, Mean, SumOfBest, parse_aggregation, score_pairs
from ance_ir.indexes.search.documents import search_documents
from ance_ir.indexes.search.exact import ExactSearcher
from ance_ir.indexes.search.searcher import VectorSearcher, noise
from ance_ir.indexes.store.vectors import VectorStore, VectorWriter

KINDS: list[Aggregation] = [Max(), First(), Mean(), SumOfBest(1), SumOfBest(2), SumOfBest(3), SumOfBest(50)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """Passages of documents, each document's place among equals, and queries."""

    vectors: np.ndarray
    offsets: np.ndarray
    ties: np.ndarray
    queries: np.ndarray
    store: VectorStore

    @classmethod
    def make(cls, folder: Path, vectors: np.ndarray, counts: list[int], queries: np.ndarray, seed: int = 0) -> Collection:
        folder.mkdir(exist_ok=True)
        vectors, queries = np.asarray(vectors, dtype=np.float32), np.asarray(queries, dtype=np.float32)
        writer = VectorWriter(folder)
        writer.append(vectors)
        store = VectorStore(folder, writer.finish())
        ties = np.random.default_rng(seed).permutation(len(counts))
        return cls(vectors=vectors, offsets=np.cumsum([0, *counts]), ties=ties, queries=queries, store=store)

    def tie_order(self, rows: np.ndarray) -> np.ndarray:
        documents = np.searchsorted(self.offsets, rows, side="right") - 1
        order: np.ndarray = self.ties[documents] * 10_000 + rows - self.offsets[documents]
        return order

    def products(self) -> np.ndarray:
        product: np.ndarray = self.queries.astype(np.float64) @ self.vectors.astype(np.float64).T
        return product

    def search(self, searcher: VectorSearcher, k: int, kind: Aggregation) -> tuple[np.ndarray, np.ndarray]:
        return search_documents(searcher, self.queries, k, self.offsets, kind, self.store, self.tie_order)


Collections = list[tuple[Collection, bool]]
"""…and whether all products are whole numbers, of which float32 loses nothing."""


def reference_score(kind: Aggregation, scores: list[float]) -> float:
    if kind == Max():
        return max(scores)
    if kind == First():
        return scores[0]
    if kind == Mean():
        return sum(scores) / len(scores)
    assert isinstance(kind, SumOfBest)
    return sum(sorted(scores, reverse=True)[: kind.count])


@cache
def reference_scores(collection: Collection, kind: Aggregation) -> list[list[float]]:
    """Of each query those of all documents, as far as float32 tells them apart."""
    spans = list(zip(collection.offsets[:-1], collection.offsets[1:], strict=True))
    return [
        [float(np.float32(reference_score(kind, products[first:last].tolist()))) for first, last in spans]
        for products in collection.products()
    ]


def brute_force(
    collection: Collection, k: int, kind: Aggregation, deleted: frozenset[int] = frozenset()
) -> tuple[list[list[float]], list[list[int]]]:
    """Every document scored; sorted; padded to ``min(k, documents)``."""
    all_scores, all_documents = [], []
    for scores in reference_scores(collection, kind):
        kept = [document for document in range(len(scores)) if document not in deleted]
        ranked = sorted(kept, key=lambda document, s=scores: (-s[document], collection.ties[document]))[:k]  # type: ignore[misc]
        padding = min(k, len(scores)) - len(ranked)
        all_scores.append([scores[document] for document in ranked] + [-np.inf] * padding)
        all_documents.append(ranked + [-1] * padding)
    return all_scores, all_documents


class Listed:
    """Sorts all passages and gives what it is asked for, hidden rows left out; keeps what it was asked.

    Args:
        collection: what is searched.
        hidden: rows that are not found.
        most: finds so many at most.
        pads: with −1, as Faiss does; it gives fewer columns otherwise.
        off: added to each score, as rounding may do.
    """

    def __init__(
        self,
        collection: Collection,
        hidden: np.ndarray | None = None,
        most: int = 1 << 40,
        pads: bool = True,
        off: Callable[[np.ndarray], np.ndarray] = np.zeros_like,
    ) -> None:
        self.collection = collection
        self.hidden = hidden
        self.most = most
        self.pads = pads
        self.off = off
        self.asked: list[tuple[int, int]] = []

    def search(self, queries_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append((len(queries_QD), k))
        vectors = self.collection.vectors.astype(np.float64)
        scores = np.asarray(queries_QD.astype(np.float64) @ vectors.T, dtype=np.float32)
        rows = np.flatnonzero(~self.hidden) if self.hidden is not None else np.arange(len(vectors))
        ties = np.broadcast_to(self.collection.tie_order(rows), (len(scores), len(rows)))
        order = rows[np.lexsort((ties, -scores[:, rows]), axis=1)][:, : min(k, self.most)]
        scores = np.take_along_axis(scores, order, 1)
        scores += self.off(scores)
        padding = ((0, 0), (0, min(k, len(vectors)) - order.shape[1] if self.pads else 0))
        return np.pad(scores, padding, constant_values=-np.inf), np.pad(order, padding, constant_values=-1)


def exact_searcher(collection: Collection) -> VectorSearcher:
    return ExactSearcher(collection.store, collection.tie_order)


SEARCHERS = [exact_searcher, Listed]
CORPORA = ["integers", "binary", "duplicates", "real", "negative", "equal"]


def random_collection(folder: Path, seed: int) -> tuple[Collection, bool]:
    """1 to 300 documents of 1 to 9 passages; see ``Collections``."""
    rng = np.random.default_rng(seed)
    kind = CORPORA[seed % len(CORPORA)]
    documents = int(rng.choice([1, 2, rng.integers(3, 30), rng.integers(30, 301)], p=[0.1, 0.1, 0.3, 0.5]))
    counts = rng.integers(1, 1 + rng.integers(1, 10), documents).tolist()
    dimension = int(rng.integers(2, 33))
    shape, asked = (sum(counts), dimension), (3, dimension)
    if kind == "integers":
        vectors, queries = rng.integers(-3, 4, shape), rng.integers(-3, 4, asked)
    elif kind == "binary":
        vectors, queries = rng.integers(0, 2, shape), rng.integers(-1, 2, asked)
    elif kind == "duplicates":
        vectors, queries = rng.normal(size=(4, dimension))[rng.integers(0, 4, shape[0])], rng.normal(size=asked)
    elif kind == "real":
        vectors, queries = rng.normal(size=shape) * 10, rng.normal(size=asked)
    elif kind == "negative":
        vectors, queries = rng.integers(1, 5, shape), rng.integers(-3, 0, asked)
    else:
        vectors, queries = np.ones(shape), rng.integers(-2, 3, asked)
    return Collection.make(folder, vectors, counts, queries, seed), kind not in ("real", "duplicates")


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Collections:
    folder = tmp_path_factory.mktemp("collections")
    return [random_collection(folder / str(seed), seed) for seed in range(36)]


def check(
    collection: Collection,
    found: tuple[np.ndarray, np.ndarray],
    k: int,
    kind: Aggregation,
    *,
    deleted: frozenset[int] = frozenset(),
    whole: bool = False,
) -> None:
    scores, documents = found
    assert (scores.dtype, documents.dtype) == (np.float32, np.int64)
    expected_scores, expected = brute_force(collection, k, kind, deleted)
    assert documents.tolist() == expected
    atol = 0.0 if whole else float(noise(collection.store, collection.queries).max())
    np.testing.assert_allclose(scores, expected_scores, rtol=0 if whole else 1e-6, atol=atol)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("make", SEARCHERS)
def test_always_the_documents_of_brute_force(
    collections: Collections, make: Callable[[Collection], VectorSearcher], kind: Aggregation
) -> None:
    for seed, (collection, whole) in enumerate(collections):
        documents = len(collection.ties)
        for k in {1, int(np.random.default_rng(seed).integers(1, documents + 1)), documents, documents + 7}:
            check(collection, collection.search(make(collection), k, kind), k, kind, whole=whole)


def exact_without(collection: Collection, hidden: np.ndarray) -> VectorSearcher:
    return ExactSearcher(collection.store, collection.tie_order, searchable=~hidden, memory_budget=1)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("make", [exact_without, Listed, partial(Listed, pads=False)], ids=["exact", "padded", "cut short"])
def test_documents_that_are_hidden_are_not_found(
    collections: Collections, make: Callable[[Collection, np.ndarray], VectorSearcher], kind: Aggregation
) -> None:
    for seed, (collection, _) in enumerate(collections[:24]):
        documents = len(collection.ties)
        rng = np.random.default_rng(seed)
        deleted = rng.random(documents) < rng.choice([0.1, 0.9, 1.0])
        hidden = np.repeat(deleted, np.diff(collection.offsets))
        for k in (1, documents // 2 + 1, documents):
            found = collection.search(make(collection, hidden), k, kind)
            check(collection, found, k, kind, deleted=frozenset(np.flatnonzero(deleted).tolist()))


def test_max_keeps_the_order_of_documents_among_equals(tmp_path: Path) -> None:
    """Thousands of passages, three different vectors: the cut always goes through equal scores."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, 1000).tolist()
    vectors = rng.normal(size=(3, 8))[rng.choice(3, sum(counts), p=[0.9, 0.09, 0.01])]
    collection = Collection.make(tmp_path, vectors, counts, rng.normal(size=(20, 8)))
    for k in (1, 10, 100, 999):
        check(collection, collection.search(exact_searcher(collection), k, Max()), k, Max())


def test_first_asks_a_searcher_of_first_passages_once(collections: Collections) -> None:
    collection, _ = collections[15]
    later = np.ones(len(collection.vectors), dtype=bool)
    later[collection.offsets[:-1]] = False
    searcher = Listed(collection, later)
    check(collection, collection.search(searcher, 5, First()), 5, First())
    assert searcher.asked == [(3, 5)]


def ladder(folder: Path, documents: int = 1000) -> Collection:
    """Document i scores −i in each of 4 passages for one query, and all are equal for the other."""
    heights = -np.repeat(np.arange(documents), 4)
    vectors = np.stack([heights, np.ones(len(heights))], axis=1)
    return Collection.make(folder, vectors, [4] * documents, np.array([[1, 0], [0, 1]]))


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (Max(), [(2, 20), (2, 40)]),  # 40 passages are 10 documents
        (First(), [(2, 10), (2, 20), (2, 40)]),
        # the 10th document is ahead of all that are not found when the 11th is found; among equals nothing is ever ahead
        (Mean(), [(2, 20), (2, 40), (2, 80), *((1, 80 << i) for i in range(1, 6)), (1, 4000)]),
        (SumOfBest(4), [(2, 20), (2, 40), (2, 80), (2, 160), *((1, 160 << i) for i in range(1, 5)), (1, 4000)]),
    ],
    ids=str,
)
def test_no_deeper_than_it_takes(tmp_path: Path, kind: Aggregation, asked: list[tuple[int, int]]) -> None:
    """…and only for the queries that it takes."""
    collection = ladder(tmp_path)
    searcher = Listed(collection)
    check(collection, collection.search(searcher, 10, kind), 10, kind)
    assert searcher.asked == asked


@pytest.mark.parametrize("kind", [Max(), Mean(), SumOfBest(2), SumOfBest(50)], ids=str)
def test_documents_that_stand_out_are_found_at_once(tmp_path: Path, kind: Aggregation) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(4000, 16))
    vectors[:8, 0] += 1000  # the two passages of each of the first four documents
    collection = Collection.make(tmp_path, vectors, [2] * 2000, np.eye(1, 16))
    searcher = Listed(collection)
    check(collection, collection.search(searcher, 4, kind), 4, kind)
    assert searcher.asked[-1][1] <= 16


def test_one_document_with_most_of_the_passages(tmp_path: Path) -> None:
    """They fill every ranking of passages up to the last."""
    vectors = [[1, 1]] * 3000 + [[0.5, 0], [0.25, 0]]
    collection = Collection.make(tmp_path, np.array(vectors), [3000, 1, 1], np.array([[1, 0], [0, 1]]))
    for kind in KINDS:
        check(collection, collection.search(exact_searcher(collection), 2, kind), 2, kind)


@pytest.mark.parametrize(("short", "off"), [(2.0**-22, -0.9), (0.0, -1.0)])
def test_scores_of_passages_may_be_off_by_their_noise(tmp_path: Path, short: float, off: float) -> None:
    """The best document is not found at first: it is ahead, or ties come in its favour, by less than the last score found is off."""
    vectors = np.array([[4.0], [-2.0 - short], [1.0], [-1.0], [1.0]])  # the means are 1 or almost, 0, 1
    collection = Collection.make(tmp_path, vectors, [2, 2, 1], np.array([[1.0]]))
    collection = replace(collection, ties=np.array([2, 0, 1]))
    allowed = noise(collection.store, collection.queries)[0]
    searcher = Listed(collection, off=lambda scores: np.full_like(scores, off * allowed))
    _, documents = collection.search(searcher, 1, Mean())
    assert documents.tolist() == [[2]]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("pads", [True, False])
@pytest.mark.parametrize("most", [0, 1, 7])
def test_what_was_found_if_a_searcher_finds_few(collections: Collections, kind: Aggregation, pads: bool, most: int) -> None:
    """As approximate ones do: the documents of those passages are ranked, with the scores that they have."""
    for collection, _ in collections[:12]:
        passages = len(collection.vectors)
        searcher = Listed(collection, most=most, pads=pads)
        scores, documents = collection.search(searcher, 5, kind)
        assert scores.shape == documents.shape == (3, min(5, len(collection.ties)))
        assert len(searcher.asked) <= 3, "it goes on asking"
        _, rows = Listed(collection, most=most).search(collection.queries, passages)
        if kind == First():
            rows = np.where(np.isin(rows, collection.offsets[:-1]), rows, -1)
        owners = np.searchsorted(collection.offsets, rows, side="right") - 1
        expected_scores, ranked = brute_force(collection, len(collection.ties), kind)
        for query in range(3):
            kept = [place for place, document in enumerate(ranked[query]) if document in owners[query][rows[query] >= 0]]
            kept = kept[: documents.shape[1]]
            found = documents[query] >= 0
            assert documents[query][found].tolist() == [ranked[query][place] for place in kept]
            np.testing.assert_allclose(scores[query][found], [expected_scores[query][place] for place in kept], rtol=1e-6, atol=1e-5)
            assert (scores[query][~found] == -np.inf).all() and not found[found.sum() :].any()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_queries_are_asked_in_parts_where_a_search_is_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Aggregation) -> None:
    collection = ladder(tmp_path, 40)
    collection = replace(collection, queries=np.random.default_rng(0).integers(-2, 3, (30, 2)).astype(np.float32))
    monkeypatch.setattr(documents_module, "_RESULTS", 100)
    searcher = Listed(collection)
    check(collection, collection.search(searcher, 9, kind), 9, kind)
    assert max(queries * k for queries, k in searcher.asked if queries > 1) <= 100
    assert sum(queries for queries, k in searcher.asked if k == searcher.asked[0][1]) == 30


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_queries(tmp_path: Path, kind: Aggregation) -> None:
    collection = ladder(tmp_path, 4)
    collection = replace(collection, queries=np.empty((0, 2), dtype=np.float32))
    scores, documents = collection.search(Listed(collection), 3, kind)
    assert scores.shape == documents.shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("passages", "numbers"), [(1 << 20, 1 << 18), (7, 100), (1, 1)])
def test_scores_of_pairs(collections: Collections, monkeypatch: pytest.MonkeyPatch, kind: Aggregation, passages: int, numbers: int) -> None:
    """In whatever parts they are computed."""
    monkeypatch.setattr(aggregation_module, "_PASSAGES", passages)
    monkeypatch.setattr(aggregation_module, "_NUMBERS", numbers)
    for seed, (collection, _) in enumerate(collections[:12]):
        rng = np.random.default_rng(seed)
        pairs = int(rng.integers(0, 60))
        query, document = rng.integers(0, 3, pairs), rng.integers(0, len(collection.ties), pairs)
        first, counts = collection.offsets[document], np.diff(collection.offsets)[document]
        scores = score_pairs(collection.store, collection.queries, query, first, counts, kind)
        products = collection.products()
        expected = [
            reference_score(kind, products[q, start : start + count].tolist()) for q, start, count in zip(query, first, counts, strict=True)
        ]
        assert (scores.dtype, scores.shape) == (np.float32, (pairs,))
        np.testing.assert_allclose(scores, expected, rtol=2**-23, atol=1e-13)


def test_scores_are_computed_in_parts_as_large_as_they_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whole documents, of which vectors are read in parts as well."""
    collection = Collection.make(tmp_path, np.ones((28, 2)), [4, 4, 4, 4, 10, 2], np.ones((1, 2)))
    monkeypatch.setattr(aggregation_module, "_PASSAGES", 8)
    monkeypatch.setattr(aggregation_module, "_NUMBERS", 2 * 3)
    get = collection.store.get
    read: list[int] = []
    monkeypatch.setattr(collection.store, "get", lambda rows: read.append(len(rows)) or get(rows))
    counts = np.diff(collection.offsets)
    scores = score_pairs(collection.store, collection.queries, np.zeros(6, dtype=np.int64), collection.offsets[:-1], counts, SumOfBest(20))
    assert scores.tolist() == (2 * counts).tolist()
    assert read == [3, 3, 2, 3, 3, 2, 3, 3, 3, 1, 2]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if isinstance(kind, Mean | SumOfBest)], ids=str)
def test_no_document_scores_more_than_the_bound_and_some_reach_it(kind: Mean | SumOfBest) -> None:
    rng = np.random.default_rng(0)
    for most in (1, 2, 5):
        for limit in (-3.0, -0.5, 0.0, 0.5, 3.0):
            counts = rng.integers(1, most + 1, 5000)
            begins = np.cumsum(counts) - counts
            scores = limit - rng.integers(0, 2, counts.sum())
            reached = kind.combine(scores, begins, counts).max()
            assert reached == kind.bound(np.array([limit]), most)[0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_aggregation_is_read_from_its_text(kind: Aggregation) -> None:
    assert parse_aggregation(str(kind)) == kind
    assert parse_aggregation(f" {str(kind).upper()} ") == kind
    assert len({str(kind) for kind in KINDS}) == len(set(KINDS)) == len(KINDS)


@pytest.mark.parametrize("text", ["", "min", "sum", "sum:", "sum:-1", "sum:1.5", "max:2", "mean:", "maxmean"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}'.*max, mean, first, sum:N"):
        parse_aggregation(text)


def test_a_sum_of_no_passages_is_refused() -> None:
    with pytest.raises(UsageError, match=r"sum:N .*1.*0"):
        parse_aggregation("sum:0")
