"""One contract for every transformer: what it may assume, what it must keep, how it composes."""

from __future__ import annotations

import importlib
import json
import pickle
import pkgutil
import unittest
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
import torch

import ance_ir
from ance_ir.datasets import Dataset, load_dataset
from ance_ir.datasets.loader import TextLoader
from ance_ir.errors import DocumentNotFoundError, FingerprintError, IndexingError, UsageError
from ance_ir.eval.runs.dataset_runs import RunRetriever
from ance_ir.indexes import AnceIndex, Chunks, DenseRetriever, DenseScorer, FirstP, MaxP, SlidingWindow
from ance_ir.models import CrossEncoder, DenseEncoder, MultiVectorEncoder, RagToken, Reader, SparseEncoder
from ance_ir.pipelines import (
    GAR,
    LADR,
    AdaptiveLADR,
    AncePRF,
    AveragePRF,
    Excluded,
    ReciprocalRankFusion,
    RocchioPRF,
    WeightedSum,
    WithoutExcluded,
    WithoutItself,
)
from ance_ir.pipelines.bm25 import RM3, BM25Index
from ance_ir.pipelines.bm25.engines import ENGINES
from ance_ir.pipelines.late_interaction import LateInteractionReranker
from ance_ir.pipelines.rag import RagReader
from ance_ir.pipelines.reader import AnswerReader, BestAnswer
from ance_ir.pipelines.remote import Remote, RemoteScorer
from ance_ir.pipelines.reranker import BertReranker
from ance_ir.pipelines.sparse import SparseIndex
from ance_ir.ranking import rank_results
from tests.engines import missing, need
from tests.published import write_rag
from tests.systems_server import SystemsServer, serving_systems
from tests.tiny import WORDS, cross_encoder, encoder, reader

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")

DOCUMENTS = [
    {"docno": f"d{number}", "title": WORDS[number], "text": " ".join(np.random.default_rng(number).choice(WORDS, number % 20 + 1))}
    for number in range(30)
]
DOCUMENTS += [{"docno": "twin1", "title": "", "text": "king queen"}, {"docno": "twin2", "title": "", "text": "king queen"}]

OUT = pd.DataFrame({"qid": ["q1"], "docno": ["d1"]})
"""What does not count."""
QUERIES = pd.DataFrame(
    {
        "qid": ["q1", "q9", "q3", "q4"],
        "query": ["king queen", "the cat sleeps", "king queen", "dense retrieval of what"],
        "query_0": ["original 1", "original 9", "original 3", "original 4"],
        "topic": [10, 20, 30, 40],
    }
)
RESULTS = QUERIES.iloc[[1, 0, 0, 1, 3, 0]].assign(
    docno=["d3", "twin1", "d7", "d20", "d5", "twin2"], score=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], rank=[1, 2, 1, 0, 0, 0], source=list("abcdef")
)
FRAME = pd.DataFrame(DOCUMENTS).assign(year=range(len(DOCUMENTS)))
READ = RESULTS.merge(FRAME[["docno", "title", "text"]], on="docno")
ANSWERED = READ.assign(answer=list("uvwxyz"), answer_score=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], relevance=[0.5, 1.0, 1.0, 2.0, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class World:
    """What the transformers stand on."""

    model: DenseEncoder
    other: DenseEncoder
    reranker: CrossEncoder
    reader: Reader
    rag: RagToken
    index: AnceIndex
    dataset: Dataset
    cache: Path
    server: str
    bm25: Mapping[str, BM25Index]
    sparse: SparseIndex | None
    late: MultiVectorEncoder | None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("contract")
    model = encoder(head=8)
    rag = RagToken.from_pretrained(write_rag(folder / "rag"), device="cpu", num_beams=2, max_answer_length=6)
    index: AnceIndex = (MaxP(8, 3) >> model.passages() >> AnceIndex(folder / "x.ance")).index(iter(DOCUMENTS))
    bm25 = {engine: BM25Index(folder / f"x.{engine}", engine=engine).index(iter(DOCUMENTS)) for engine in ENGINES if not missing(engine)}
    (folder / "collection").mkdir()
    (folder / "collection" / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    with serving_systems(SystemsServer({"letters": by_letters}, {"letters": by_letters})) as server:
        yield World(
            model=model,
            other=encoder(head=8, seed=9),
            reranker=cross_encoder(),
            reader=reader(),
            rag=rag,
            index=index,
            dataset=load_dataset(folder / "collection"),
            cache=folder / "queries.db",
            server=server.url,
            bm25=bm25,
            **of_library(folder),
        )


def of_library(folder: Path) -> dict[str, Any]:
    """What sentence-transformers computes, where it is installed."""
    if importlib.util.find_spec("sentence_transformers") is None:
        return {"sparse": None, "late": None}
    from tests.library_models import write_multi_vector, write_splade

    late = MultiVectorEncoder.from_pretrained(write_multi_vector(folder / "late"), device="cpu")
    if importlib.util.find_spec("pyterrier_pisa") is None:
        return {"sparse": None, "late": late}
    model = SparseEncoder.from_pretrained(write_splade(folder / "splade", seed=1), device="cpu")
    return {"sparse": SparseIndex(folder / "x.splade", model).index(iter(DOCUMENTS)), "late": late}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A transformer, what it takes and what it adds.

    Attributes:
        make: makes it.
        frame: an input with columns beside those that it needs.
        inputs: the columns that it needs, one list for each way of calling it.
        adds: the columns that come out beside the input's.
        drops: the input's columns that do not come out.
        change: an attribute that makes another transformer of it.
        stages: attributes that are pipeline stages.
        many: rows that are more than it takes at a time; it takes 256 at most, or a few where it is asked query by query.
    """

    make: Callable[[World], pt.Transformer]
    frame: pd.DataFrame
    inputs: list[list[str]]
    adds: list[str]
    drops: tuple[str, ...] = ()
    change: dict[str, Any] | None = None
    stages: tuple[str, ...] = ()
    many: int = 300


def read_results() -> pd.DataFrame:
    """A run; of a thousand queries more too."""
    numbers = np.arange(1000).repeat(2)
    more = RESULTS.iloc[[0, 1] * 1000].assign(qid=[f"n{number}" for number in numbers], score=np.where(np.arange(2000) % 2, 1.5, numbers))
    return pd.concat([RESULTS, more])


def by_letters(frame: pd.DataFrame) -> pd.DataFrame:
    """What the server's system does: all documents for queries, the given ones for results, by the letters that they share."""
    texts = FRAME[["docno", "text"]]
    pairs = frame[["qid", "query", *(["docno"] if "docno" in frame else [])]]
    pairs = pairs.merge(texts, on="docno") if "docno" in frame else pairs.merge(texts, how="cross")
    shared = [len(set(query) & set(text)) / len(text) for query, text in zip(pairs["query"], pairs["text"], strict=True)]
    return rank_results(pairs.assign(score=shared))


def two(world: World) -> tuple[pt.Transformer, pt.Transformer]:
    """Two retrievers that find different documents."""
    return world.index.retriever(world.model, 10), world.index.retriever(world.model, 12, aggregation="mean")


def bm25(world: World, engine: str = "pisa", rm3: RM3 | None = None) -> pt.Transformer:
    need(engine)
    return world.bm25[engine].retriever(10, rm3=rm3)


def sparse(world: World) -> pt.Transformer:
    if world.sparse is None:
        pytest.skip("PISA or sentence-transformers is not installed")
    return world.sparse.retriever(10)


def late(world: World, **settings: Any) -> pt.Transformer:
    if world.late is None:
        pytest.skip("sentence-transformers is not installed")
    return LateInteractionReranker(world.late, **settings)


RANKED = ["docno", "score", "rank"]
BY_QUERY = [["qid", "query_vec"], ["qid", "query"]]
BY_PAIR = [["qid", "docno", "query_vec"], ["qid", "docno", "query"]]
BY_RESULT = [["qid", "docno", "score", "query_vec"], ["qid", "docno", "score", "query"]]
OF_RESULTS = ("docno", "score", "rank", "topic", "source")

CASES = {
    "FirstP": Case(make=lambda _: FirstP(8), frame=FRAME, inputs=[["docno", "text"]], adds=["passages"], change={"length": 9}),
    "MaxP": Case(make=lambda _: MaxP(8, 3), frame=FRAME, inputs=[["docno", "text"]], adds=["passages"], change={"count": 4}),
    "Chunks": Case(make=lambda _: Chunks(8, 3), frame=FRAME, inputs=[["docno", "text"]], adds=["passages"], change={"count": 4}),
    "SlidingWindow": Case(
        make=lambda _: SlidingWindow(8, 3), frame=FRAME, inputs=[["docno", "text"]], adds=["passages"], change={"stride": 4}
    ),
    "PassageEncoder": Case(
        make=lambda world: world.model.passages(), frame=FRAME, inputs=[["docno", "text"]], adds=["doc_vec", "encoding"]
    ),
    "MaxP >> PassageEncoder": Case(
        make=lambda world: MaxP(8, 3) >> world.model.passages(),
        frame=FRAME,
        inputs=[["docno", "text"]],
        adds=["doc_vec", "encoding"],
        drops=("title", "text"),
    ),
    "QueryEncoder": Case(make=lambda world: world.model.queries(), frame=QUERIES, inputs=[["qid", "query"]], adds=["query_vec"]),
    "DenseRetriever": Case(
        make=lambda world: world.index.retriever(world.model, 10), frame=QUERIES, inputs=BY_QUERY, adds=RANKED, change={"num_results": 3}
    ),
    "DenseRetriever, Faiss": Case(
        make=lambda world: world.index.retriever(world.model, 10, backend="flat"),
        frame=QUERIES,
        inputs=BY_QUERY,
        adds=RANKED,
        change={"backend": "exact"},
    ),
    "QueryEncoder >> DenseRetriever": Case(
        make=lambda world: world.model.queries() >> world.index.retriever(world.model, 10),
        frame=QUERIES,
        inputs=[["qid", "query"]],
        adds=["query_vec", *RANKED],
    ),
    "DenseScorer": Case(
        make=lambda world: world.index.scorer(world.model), frame=RESULTS, inputs=BY_PAIR, adds=["score", "rank"], change={"check": False}
    ),
    "Remote": Case(
        make=lambda world: Remote(world.server, "letters", 10),
        frame=QUERIES,
        inputs=[["qid", "query"]],
        adds=RANKED,
        change={"num_results": 3},
        many=70,
    ),
    "RemoteScorer": Case(
        make=lambda world: RemoteScorer(world.server, "letters"),
        frame=RESULTS,
        inputs=[["qid", "docno", "query"]],
        adds=["score", "rank"],
        change={"retries": 2},
        many=70,
    ),
    "BertReranker": Case(
        make=lambda world: BertReranker(world.reranker, MaxP(16, 2)),
        frame=READ,
        inputs=[["qid", "docno", "query", "text"]],
        adds=["score", "rank"],
        change={"passages": FirstP()},
    ),
    "LateInteractionReranker": Case(
        make=late,
        frame=READ,
        inputs=[["qid", "docno", "query", "text"]],
        adds=["score", "rank"],
        change={"verbose": True},
    ),
    "LateInteractionReranker, dataset": Case(
        make=lambda world: late(world, dataset=world.dataset, cache=world.cache.with_name("tokens.db")),
        frame=RESULTS,
        inputs=[["qid", "docno", "query"]],
        adds=["score", "rank"],
        change={"cache": None},
    ),
    "SparseRetriever": Case(make=sparse, frame=QUERIES, inputs=[["qid", "query"]], adds=RANKED, change={"num_results": 3}),
    "AnswerReader": Case(
        make=lambda world: AnswerReader(world.reader),
        frame=READ,
        inputs=[["qid", "docno", "query", "text"]],
        adds=["answer", "answer_score", "relevance"],
        change={"reader": reader("qa")},
    ),
    "BestAnswer": Case(
        make=lambda _: BestAnswer(),
        frame=ANSWERED,
        inputs=[["qid", "query", "docno", "answer", "answer_score", "relevance"]],
        adds=["qanswer", "answer_score"],
        drops=("topic", "score", "rank", "source", "title", "text", "answer", "relevance"),
        change={"by": "score"},
    ),
    "RagReader": Case(
        make=lambda world: RagReader(world.rag, 2),
        frame=READ,
        inputs=[["qid", "docno", "query", "text", "score"]],
        adds=["qanswer"],
        drops=("topic", "docno", "score", "rank", "source", "title", "text"),
        change={"n_docs": 1},
        many=6,
    ),
    "BM25Retriever": Case(make=bm25, frame=QUERIES, inputs=[["qid", "query"]], adds=RANKED, change={"k1": 2.0}),
    "BM25Retriever, Lucene": Case(
        make=lambda world: bm25(world, "lucene"), frame=QUERIES, inputs=[["qid", "query"]], adds=RANKED, change={"rm3": RM3()}
    ),
    "BM25Retriever, RM3": Case(
        make=lambda world: bm25(world, "lucene", RM3(3, 5)),
        frame=QUERIES,
        inputs=[["qid", "query"]],
        adds=RANKED,
        change={"rm3": RM3(3, 4)},
        many=70,
    ),
    "BM25Retriever, Terrier": Case(
        make=lambda world: bm25(world, "terrier"), frame=QUERIES, inputs=[["qid", "query"]], adds=RANKED, change={"b": 0.5}, many=70
    ),
    "BM25Retriever, Terrier, RM3": Case(
        make=lambda world: bm25(world, "terrier", RM3(3, 5)),
        frame=QUERIES,
        inputs=[["qid", "query"]],
        adds=RANKED,
        change={"rm3": None},
        many=70,
    ),
    "TextLoader": Case(
        make=lambda world: world.dataset.text_loader(("title", "text")),
        frame=RESULTS,
        inputs=[["docno"]],
        adds=["title", "text"],
        change={"fields": ("url",)},
    ),
    "QueryEncoder, cache": Case(
        make=lambda world: world.model.queries(cache=world.cache),
        frame=QUERIES,
        inputs=[["qid", "query"]],
        adds=["query_vec"],
        change={"cache": None},
    ),
    "BertReranker, dataset": Case(
        make=lambda world: BertReranker(world.reranker, MaxP(16, 2), aggregation="mean", dataset=world.dataset),
        frame=RESULTS,
        inputs=[["qid", "docno", "query"]],
        adds=["score", "rank"],
        change={"aggregation": "sum:2"},
    ),
    "ReciprocalRankFusion": Case(
        make=lambda world: ReciprocalRankFusion(*two(world), num_results=10),
        frame=QUERIES,
        inputs=BY_QUERY,
        adds=RANKED,
        change={"k": 7},
        stages=("systems",),
    ),
    "WithoutItself": Case(
        make=lambda world: WithoutItself(world.index.retriever(world.model, 11), 10),
        frame=QUERIES,
        inputs=BY_QUERY,
        adds=RANKED,
        change={"num_results": 3},
        stages=("retriever",),
    ),
    "WithoutExcluded": Case(
        make=lambda world: WithoutExcluded(world.index.retriever(world.model, 11), Excluded(OUT), 10),
        frame=QUERIES,
        inputs=BY_QUERY,
        adds=RANKED,
        change={"num_results": 3},
        stages=("retriever",),
    ),
    "WeightedSum": Case(
        make=lambda world: WeightedSum(*two(world), weights=(1, 0.5), num_results=10),
        frame=QUERIES,
        inputs=BY_QUERY,
        adds=RANKED,
        change={"normalization": "z"},
        stages=("systems",),
    ),
    "AveragePRF": Case(
        make=lambda world: AveragePRF(world.index, 3, model=world.model),
        frame=RESULTS,
        inputs=BY_RESULT,
        adds=["query_vec"],
        drops=OF_RESULTS,
        change={"depth": 2},
    ),
    "RocchioPRF": Case(
        make=lambda world: RocchioPRF(world.index, 3, model=world.model),
        frame=RESULTS,
        inputs=BY_RESULT,
        adds=["query_vec"],
        drops=OF_RESULTS,
        change={"alpha": 0.1},
    ),
    "AncePRF": Case(
        make=lambda world: AncePRF(world.model, 2, length=64),
        frame=READ,
        inputs=[["qid", "docno", "score", "query", "text"]],
        adds=["query_vec"],
        drops=(*OF_RESULTS, "title", "text"),
        change={"length": 60},
    ),
    "LADR": Case(
        make=lambda world: LADR(world.index, world.model, 10, neighbours=3),
        frame=RESULTS,
        inputs=BY_PAIR,
        adds=RANKED,
        drops=("topic", "source"),
        change={"hops": 2},
    ),
    "AdaptiveLADR": Case(
        make=lambda world: AdaptiveLADR(world.index, world.model, 10, neighbours=3),
        frame=RESULTS,
        inputs=BY_PAIR,
        adds=RANKED,
        drops=("topic", "source"),
        change={"depth": 2},
    ),
    "GAR": Case(
        make=lambda world: GAR(world.index, world.model, 10, neighbours=3, batch_size=2),
        frame=RESULTS,
        inputs=BY_RESULT,
        adds=RANKED,
        drops=("topic", "source"),
        change={"budget": 5},
    ),
    "RunRetriever": Case(
        make=lambda _: RunRetriever("run", read_results), frame=QUERIES, inputs=[["qid"]], adds=RANKED, change={"name": "other"}
    ),
}
ONE = {name: case for name, case in CASES.items() if ">>" not in name}
RETRIEVERS = [
    "DenseRetriever",
    "DenseRetriever, Faiss",
    "BM25Retriever",
    "BM25Retriever, Lucene",
    "BM25Retriever, RM3",
    "BM25Retriever, Terrier",
    "BM25Retriever, Terrier, RM3",
]
RETRIEVERS += ["SparseRetriever"]
RETRIEVERS += ["Remote", "ReciprocalRankFusion", "WeightedSum", "WithoutExcluded", "WithoutItself"]
WORDS_ALONE = [case for name, case in CASES.items() if name.startswith(("BM25", "Sparse"))]
"""They find nothing for a query whose terms no document has, and know nothing of vectors."""
RANKERS = [
    *RETRIEVERS,
    "LADR",
    "AdaptiveLADR",
    "GAR",
    "DenseScorer",
    "RemoteScorer",
    "BertReranker",
    "BertReranker, dataset",
    "LateInteractionReranker",
    "LateInteractionReranker, dataset",
    "QueryEncoder >> DenseRetriever",
]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(params=ONE)
def single(request: pytest.FixtureRequest) -> Case:
    return ONE[request.param]


@pytest.fixture(params=RANKERS)
def ranker(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(params=RETRIEVERS)
def retriever(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal frames, vectors to the last bits that padding may change."""
    assert list(found.columns) == list(expected.columns)
    assert len(found) == len(expected)
    for column in expected.columns:
        if column in ("query_vec", "doc_vec"):
            np.testing.assert_allclose(np.stack(found[column].to_list()), np.stack(expected[column].to_list()), atol=1e-5)
        elif column in ("score", "answer_score", "relevance"):
            np.testing.assert_allclose(found[column], expected[column], rtol=1e-5, atol=1e-5)
        else:
            assert found[column].tolist() == expected[column].tolist()


def test_the_inputs_are_found_by_inspection(case: Case, world: World) -> None:
    assert pt.inspect.transformer_inputs(case.make(world)) == case.inputs


def test_the_outputs_found_by_inspection_are_those_that_come(case: Case, world: World) -> None:
    transformer = case.make(world)
    for inputs in case.inputs:
        frame = (world.model.queries()(case.frame) if "query_vec" in inputs else case.frame)[inputs]
        assert pt.inspect.transformer_outputs(transformer, inputs) == list(transformer(frame).columns)


def test_every_column_survives_and_the_new_ones_come(case: Case, world: World) -> None:
    found = case.make(world)(case.frame)
    kept = [column for column in case.frame.columns if column not in case.drops]
    assert set(found.columns) == {*kept, *case.adds}
    key = "docno" if case.frame is FRAME else "qid"
    columns = [column for column in kept if column not in (*case.adds, "qid", "docno")]
    expected = case.frame.drop_duplicates(key).set_index(key)
    assert len(found)
    for column in columns:
        if column in ("source", "title", "text", "score", "rank") and case.frame is not FRAME:
            expected_values = case.frame.set_index(["qid", "docno"])[column]
            assert [expected_values[pair] for pair in zip(found["qid"], found["docno"], strict=True)] == found[column].tolist()
        else:
            keys = found[key].str.replace(r"#\d+$", "", regex=True)
            assert expected.loc[keys, column].tolist() == found[column].tolist()


def test_an_empty_frame_gives_an_empty_frame_with_the_same_columns(case: Case, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    transformer = case.make(world)
    full = transformer(case.frame)

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("an empty frame is no reason to encode")

    for name in ("encode_queries", "encode_passages", "encode_documents", "fingerprint"):
        monkeypatch.setattr(DenseEncoder, name, fail)
    for name in ("encode_queries", "encode_documents", "fingerprint"):
        for kind in (SparseEncoder, MultiVectorEncoder):
            monkeypatch.setattr(kind, name, fail)
    for name in ("log_odds", "fingerprint"):
        monkeypatch.setattr(CrossEncoder, name, fail)
    monkeypatch.setattr("ance_ir.pipelines.feedback.ance_prf.encode_windows", fail)
    monkeypatch.setattr(AnceIndex, "model", fail)
    monkeypatch.setattr(Reader, "read", fail)
    monkeypatch.setattr(RagToken, "generate", fail)
    found = transformer(case.frame.iloc[:0])
    assert list(found.columns) == list(full.columns)
    assert len(found) == 0
    for column in ("score", "rank", "answer_score", "relevance"):
        if column in found:
            assert found[column].dtype == full[column].dtype


def test_the_input_stays_as_it_was(case: Case, world: World) -> None:
    frame = case.frame.copy(deep=True)
    case.make(world)(frame)
    pd.testing.assert_frame_equal(frame, case.frame)


def test_the_labels_of_rows_mean_nothing(case: Case, world: World) -> None:
    count, transformer = len(case.frame), case.make(world)
    expected = transformer(case.frame)
    for index in (range(count, 0, -1), [7] * count, [f"r{number}" for number in range(count)]):
        assert_same(transformer(case.frame.set_axis(pd.Index(index), axis=0)), expected)


def test_equal_questions_get_equal_answers(case: Case, world: World) -> None:
    transformer = case.make(world)
    assert_same(transformer(case.frame), transformer(case.frame))


def test_wrong_columns_are_refused(case: Case, world: World) -> None:
    transformer = case.make(world)
    needed = {column for inputs in case.inputs for column in inputs}
    for absent in case.inputs[0]:
        frame = case.frame.drop(columns=needed if absent in ("query_vec", "query") else [absent], errors="ignore")
        with pytest.raises(pt.validate.InputValidationError, match="does not match required columns"):
            transformer(frame)


@pytest.mark.parametrize("wrong", [None, float("nan"), 5])
@pytest.mark.parametrize("reading", [name for name, case in CASES.items() if "text" in case.inputs[0] and "passages" not in case.adds])
def test_texts_that_are_none_are_refused_and_titles_of_another_type(reading: str, wrong: object, world: World) -> None:
    frame, transformer = CASES[reading].frame, CASES[reading].make(world)
    column = pd.Series([wrong] * len(frame), index=frame.index, dtype=object)
    with pytest.raises(UsageError, match=r"document '.*text.*(None|nan|5)"):
        transformer(frame.assign(text=column))
    if wrong != 5:
        transformer(frame.assign(title=column))
    elif reading != "AncePRF":  # it reads no titles
        with pytest.raises(UsageError, match=r"document '.*title.*5"):
            transformer(frame.assign(title=column))


def test_every_argument_is_an_attribute(single: Case, world: World) -> None:
    transformer = single.make(world)
    attributes = pt.inspect.transformer_attributes(transformer)
    assert all(attribute.value is not pt.inspect.TransformerAttribute.MISSING for attribute in attributes)
    copy = pt.inspect.transformer_apply_attributes(transformer)
    assert copy is not transformer
    assert_same(copy(single.frame), transformer(single.frame))


def test_each_is_another(single: Case, world: World) -> None:
    transformer, again = single.make(world), single.make(world)
    if isinstance(transformer, FirstP | MaxP | SlidingWindow):
        assert transformer == again, "schemes are values"
    else:
        assert transformer == transformer != again
        assert len({transformer: 1, again: 2}) == 2
    assert transformer != "something else"


def test_what_is_not_as_usual_is_shown(single: Case, world: World) -> None:
    transformer = single.make(world)
    assert repr(transformer).startswith(type(transformer).__name__)
    assert "\n" not in repr(transformer) and " at 0x" not in repr(transformer)
    if single.change:
        changed = pt.inspect.transformer_apply_attributes(transformer, **single.change)
        assert all(getattr(changed, name) == value for name, value in single.change.items())
        assert isinstance(transformer, AnswerReader) or repr(changed) != repr(transformer), "the tiny readers have one name"
    assert repr(transformer) == repr(single.make(world))


REFUSED: dict[str, list[Any]] = {
    "num_results": [0, -1, True, 2.0, float("nan"), [5], None, "5"],
    "depth": [0, True, 1.5, None],
    "hops": [0, True, None],
    "budget": [0, 1.5],
    "neighbours": [0, True, "16"],
    "graph_backend": ["nonsense", 1, None],
    "length": [2, True, 5.5, "8"],
    "count": [0, True, None],
    "stride": [0, False, 1.5],
    "n_docs": [0, True, 1.5],
    "memory_budget": [0, 1.5],
    "bottom": [-1, 0.5],
    "k1": [-0.1, float("nan"), float("inf"), True, "1"],
    "b": [-0.1, 1.1, float("nan"), None],
    "k": [-1, float("nan"), float("inf"), [60]],
    "alpha": [float("nan"), True, None, [1.0]],
    "beta": [float("inf"), "1"],
    "gamma": [float("-inf")],
    "weights": [(float("nan"), 1.0), (1.0,), [1.0, 2.0, 3.0], 1.0, (True, 1.0), ("1", "2")],
    "systems": [(), [1, 2], None],
    "normalization": ["zz", ["z"], None, 1],
    "missing": ["none", ["min"]],
    "aggregation": ["median", None, ["max"], "sum:0"],
    "backend": ["nonsense", 1, None],
    "rm3": ["yes", True],
    "fields": ["body", [], ("text", "body"), [["text"]], None],
    "by": ["rank", ["score"], None],
    "url": [None, "", "127.0.0.1:8080", "ftp://host", "http://", "http://host?x=1"],
    "system": [None, "", " ", 3],
    "batch_size": [0, True, 1.5],
    "timeout": [0, -1, float("inf"), "5"],
    "retries": [-1, True, 0.5],
    "verbose": ["no", 1, None],
    "check": ["no", 0, None],
    "model": [None, "a name"],
}
"""Values that no transformer takes, by the name of the setting."""


def test_settings_are_checked_wherever_they_are_set(single: Case, world: World) -> None:
    transformer = single.make(world)
    for attribute in pt.inspect.transformer_attributes(transformer):
        if isinstance(transformer, AnswerReader | TextLoader) and attribute.name in ("reader", "store"):
            continue
        for value in REFUSED.get(attribute.name, []):
            if attribute.name == "model" and (value is None or type(transformer).__name__ in ("QueryEncoder", "PassageEncoder")):
                continue
            with pytest.raises(UsageError, match=attribute.name):
                setattr(transformer, attribute.name, value)
            with pytest.raises(UsageError, match=attribute.name):
                transformer.set_parameter(attribute.name, value)
            assert getattr(transformer, attribute.name) is attribute.value, "what was refused leaves no trace"
            if attribute.name != "systems":
                with pytest.raises(UsageError, match=attribute.name):
                    pt.inspect.transformer_apply_attributes(transformer, **{attribute.name: value})


def test_only_systems_inside_are_stages(single: Case, world: World) -> None:
    assert set(pt.inspect.subtransformers(single.make(world))) == set(single.stages)


def test_its_label_is_short(single: Case, world: World) -> None:
    label = pt.schematic.transformer_schematic(single.make(world))["label"]
    assert 0 < len(label) <= 20


def test_pyterriers_own_contract(case: Case, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PT_TEST_TRANSFORMER_REPORTS", "0")
    transformer = case.make(world)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(pt.testing.transformer_test_class(lambda: transformer)).run(result)
    assert result.testsRun
    assert result.failures == result.errors == []


def test_ranks_start_at_0_and_follow_scores_then_docnos(ranker: Case, world: World) -> None:
    found = ranker.make(world)(ranker.frame)
    assert found.groupby("qid", sort=False).ngroups == ranker.frame["qid"].nunique() or any(ranker is case for case in WORDS_ALONE)
    for _, results in found.groupby("qid", sort=False):
        assert results["rank"].tolist() == list(range(len(results)))
        best = sorted(zip(results["score"], results["docno"], strict=True), reverse=True)
        assert results["docno"].tolist() == [docno for _, docno in best]
        assert results["docno"].is_unique
    assert found["rank"].dtype == np.int64
    assert found["score"].dtype == np.float64
    assert found.index.tolist() == list(range(len(found)))


def test_a_query_alone_gets_the_answer_that_it_gets_among_others(ranker: Case, world: World) -> None:
    transformer = ranker.make(world)
    together = transformer(ranker.frame)
    apart = [transformer(ranker.frame[ranker.frame["qid"] == qid]) for qid in ranker.frame["qid"].drop_duplicates()]
    assert_same(pd.concat(apart, ignore_index=True), together)


def test_queries_with_the_same_text_get_the_same_answer(ranker: Case, world: World) -> None:
    frame = ranker.frame[ranker.frame["qid"] == "q1"]
    twice = pd.concat([frame, frame.assign(qid="again")])
    found = ranker.make(world)(twice)
    first, second = (found[found["qid"] == qid] for qid in ("q1", "again"))
    assert len(first)
    assert_same(second.drop(columns="qid"), first.drop(columns="qid"))


def test_a_cutoff_is_applied_while_searching(retriever: Case, world: World) -> None:
    transformer = retriever.make(world)
    full = transformer(QUERIES)
    assert transformer.fuse_rank_cutoff(10) is transformer.fuse_rank_cutoff(50) is transformer
    cuts = [transformer % 3, transformer % 5 % 3, transformer % 3 % 5]
    cuts += [(transformer % 3).compile(), (transformer >> pt.RankCutoff(3)).compile()]
    for cut in cuts:
        assert type(cut) is type(transformer)
        assert cut.num_results == 3
        assert_same(cut(QUERIES), full[full["rank"] < 3].reset_index(drop=True))
    assert transformer.num_results == 10
    assert_same((transformer % 50)(QUERIES), full)
    again = pickle.loads(pickle.dumps(transformer % 3))  # noqa: S301
    assert_same(again(QUERIES), (transformer % 3)(QUERIES))
    for refused in (0, -1, True, 1.5, None):
        with pytest.raises(UsageError):
            _ = transformer % refused


SCANNED: dict[str, tuple[str, list[Any]]] = {
    "DenseRetriever": ("aggregation", ["max", "mean", "first"]),
    "BM25Retriever": ("k1", [0.1, 0.9, 3.0]),
    "ReciprocalRankFusion": ("k", [0.0, 60.0]),
    "WeightedSum": ("weights", [(1.0, 0.0), (0.0, 1.0)]),
}


@pytest.mark.parametrize("name", SCANNED)
@pytest.mark.parametrize("cut", [lambda one: one % 4, lambda one: (one % 4).compile(), lambda one: (one >> pt.RankCutoff(4)).compile()])
def test_settings_that_change_later_count_behind_a_cutoff(name: str, cut: Callable[[Any], Any], world: World) -> None:
    transformer = CASES[name].make(world)
    pipeline = cut(transformer)
    setting, values = SCANNED[name]
    for value in values:
        transformer.set_parameter(setting, value)
        fresh = pt.inspect.transformer_apply_attributes(transformer)
        assert_same(pipeline(QUERIES), pt.RankCutoff(4)(fresh(QUERIES)))
    transformer.num_results = 2
    assert pipeline.num_results == 2
    transformer.num_results = 9
    assert pipeline.num_results == 4
    pipeline.set_parameter(setting, values[0])
    transformer.set_parameter(setting, values[1])
    assert pipeline.get_parameter(setting) == values[0], "a setting of its own"


def test_a_fusion_that_was_compiled_follows_the_one_that_it_was_made_of(world: World) -> None:
    fusion = CASES["WeightedSum"].make(world)
    compiled = fusion.compile()
    fusion.weights = (0, 1)
    assert_same(compiled(QUERIES), fusion(QUERIES))


def test_a_grid_scan_sees_settings_behind_a_cutoff_and_equal_stages_apart(world: World) -> None:
    first, second = (world.index.retriever(world.model, 10) for _ in range(2))
    pipeline = WeightedSum(first % 3, second % 3, num_results=10)
    qrels = pd.DataFrame({"qid": QUERIES["qid"], "docno": "d7", "label": 1})
    scanned = pt.GridScan(
        pipeline, {first: {"num_results": [1, 10]}, second: {"num_results": [1, 10]}}, QUERIES, qrels, ["num_ret"], dataframe=True
    )
    assert len(scanned) == 4
    assert scanned["num_ret"].nunique() > 1


def test_an_experiment_keeps_systems_that_differ_in_a_setting(world: World) -> None:
    systems = [world.index.retriever(world.model, 10), world.index.retriever(world.model, 10, aggregation="first")]
    qrels = pd.DataFrame({"qid": QUERIES["qid"], "docno": "d7", "label": 1})
    found = pt.Experiment(systems, QUERIES, qrels, ["num_ret"])
    assert found["name"].nunique() == 2


BAD_VECTORS = [[np.nan] * 8, [np.inf] * 8, [0.0] * 7, [[0.0] * 8], None, "text", 3.0, [0.0] * 7 + ["x"], [1e39] * 8, [[0.0], [0.0, 1.0]]]
TAKE_VECTORS = ["LADR", "GAR", "DenseRetriever", "DenseRetriever, Faiss", "DenseScorer", "AveragePRF", "RocchioPRF", "WeightedSum"]


@pytest.mark.parametrize("name", TAKE_VECTORS)
def test_a_vector_that_is_none_is_refused_by_its_query(name: str, world: World) -> None:
    case = CASES[name]
    frame = world.model.queries()(case.frame)
    transformer = case.make(world)
    for bad in BAD_VECTORS:
        vectors = [bad if qid == "q9" else vector for qid, vector in zip(frame["qid"], frame["query_vec"], strict=True)]
        with pytest.raises(UsageError, match="q9"):
            transformer(frame.assign(query_vec=pd.Series(vectors, index=frame.index, dtype=object)))


@pytest.mark.parametrize("name", TAKE_VECTORS)
def test_a_vector_may_be_of_any_type_of_numbers(name: str, world: World) -> None:
    case = CASES[name]
    frame = case.frame.assign(query_vec=[np.arange(8, dtype=np.float32) - int(qid[1]) for qid in case.frame["qid"]])
    transformer = case.make(world)
    expected = transformer(frame)
    changes: list[Callable[[np.ndarray], Any]] = [list, lambda v: torch.tensor(v).bfloat16()]
    changes += [lambda v, kind=kind: v.astype(kind) for kind in (np.float16, np.float64, int)]
    for change in changes:
        vectors = pd.Series([change(vector) for vector in frame["query_vec"]], index=frame.index, dtype=object)
        found = transformer(frame.assign(query_vec=vectors))
        assert_same(found.drop(columns="query_vec"), expected.drop(columns="query_vec"))


def test_scores_that_are_no_finite_numbers_are_refused(world: World) -> None:
    for score in (np.nan, np.inf, -np.inf, 1e300, None, "x"):
        bad = READ.assign(score=pd.Series([score if docno == "d7" else 1.0 for docno in READ["docno"]], dtype=object))
        source = pt.apply.generic(lambda _, bad=bad: bad)
        for stage in (AveragePRF(world.index, model=world.model), RagReader(world.rag, 2)):
            with pytest.raises(UsageError, match=r"'q1'.*'d7'"):
                stage(bad)
        for fusion in (WeightedSum(source), ReciprocalRankFusion(source)):
            with pytest.raises(UsageError, match=r"'q1'.*'d7'"):
                fusion(QUERIES)


def test_a_model_that_makes_no_finite_vectors_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    retriever, encoder_ = world.index.retriever(world.model, 10), world.model.queries()
    scorer = world.index.scorer(world.model)
    monkeypatch.setattr(DenseEncoder, "encode_queries", lambda self, texts: np.full((len(texts), 8), np.nan, dtype=np.float32))
    for stage, frame in ((retriever, QUERIES), (encoder_, QUERIES), (scorer, RESULTS)):
        with pytest.raises(UsageError, match="query"):
            stage(frame)


def test_a_model_that_is_set_later_is_checked_too(world: World) -> None:
    for stage in (world.index.retriever(world.model), world.index.scorer(world.model), AveragePRF(world.index, model=world.model)):
        with pytest.raises(FingerprintError):
            stage.model = world.other
        assert stage.model is world.model
        stage.check = False
        stage.model = world.other
        with pytest.raises(FingerprintError):
            stage.check = True


@pytest.mark.parametrize("name", ["DenseRetriever", "DenseRetriever, Faiss"])
def test_more_results_than_documents_are_all_documents(name: str, world: World) -> None:
    backend = "flat" if "Faiss" in name else "exact"
    found = world.index.retriever(world.model, 1000, backend=backend)(QUERIES)
    docnos = {document["docno"] for document in DOCUMENTS}
    assert all(set(results["docno"]) == docnos and len(results) == len(docnos) for _, results in found.groupby("qid"))


def test_twins_are_ordered_by_docno(world: World) -> None:
    found = world.index.retriever(world.model)(QUERIES)
    for _, results in found.groupby("qid"):
        ranks = results.set_index("docno")["rank"]
        assert ranks["twin1"] == ranks["twin2"] + 1


@pytest.mark.parametrize("backend", ["exact", "flat", "ivf+sq8", "hnsw"])
def test_scorer_and_retriever_agree(world: World, backend: str) -> None:
    found = world.index.retriever(world.model, backend=backend)(QUERIES)
    again = world.index.scorer(world.model)(found.sample(frac=1, random_state=0).drop(columns=["score", "rank"]))
    columns = ["qid", "docno", "score", "rank"]
    assert_same(*(frame[columns].sort_values(["qid", "rank"]).reset_index(drop=True) for frame in (again, found)))


def test_query_vectors_are_used_where_there_are_any(ranker: Case, world: World) -> None:
    if not any("query_vec" in columns for columns in ranker.inputs) and ranker is not CASES["QueryEncoder >> DenseRetriever"]:
        pytest.skip("it has no vectors")
    transformer = ranker.make(world)
    if ranker is CASES["QueryEncoder >> DenseRetriever"]:
        transformer = world.index.retriever(world.model, 10)
    with_vectors = world.model.queries()(ranker.frame)
    assert_same(transformer(with_vectors).drop(columns="query_vec"), transformer(ranker.frame))
    misleading = with_vectors.assign(query="red moon")
    assert transformer(misleading)["docno"].tolist() == transformer(with_vectors)["docno"].tolist()


@pytest.mark.parametrize(
    "compose",
    [
        lambda one, two: one + two,
        lambda one, two: one >> (two.index.scorer(two.model) ** pt.apply.doc_score(lambda row: 1.0)),
        lambda one, two: one | two,
        lambda one, two: one & two,
        lambda one, two: one ^ two,
        lambda one, two: 2.0 * one,
        lambda one, two: one >> pt.apply.doc_score(lambda row: row["score"] + 1),
        lambda one, two: one % 2 >> pt.apply.query(lambda row: row["query"] + " x"),
    ],
)
def test_it_composes(retriever: Case, world: World, compose: Callable[[Any, Any], pt.Transformer]) -> None:
    pipeline = compose(retriever.make(world), world.index.retriever(world.model, 5))
    found = pipeline(QUERIES)
    assert {"qid", "query", "docno"} <= set(found.columns)
    assert len(found)
    assert pt.inspect.transformer_outputs(pipeline, ["qid", "query"])


def test_a_cascade(retriever: Case, world: World) -> None:
    first = retriever.make(world)
    cascade = (first % 4 >> world.index.scorer(world.model)) % 2
    found = cascade(QUERIES)
    expected = world.index.scorer(world.model)((first % 4)(QUERIES))
    assert_same(found.reset_index(drop=True), expected[expected["rank"] < 2].reset_index(drop=True))


def test_documents_that_the_index_does_not_hold_are_cut_as_those_that_it_holds(world: World) -> None:
    documents = [document for document in DOCUMENTS if document["docno"] in {"d1", "d2", "d3", "d4"}]
    renamed = [{**document, "docno": f"new-{document['docno']}"} for document in documents]
    frames = [pd.DataFrame(rows).assign(qid="1", query="king of the river") for rows in (documents, renamed)]
    held, unseen = (world.index.scorer(world.model)(frame).set_index("docno")["score"] for frame in frames)
    assert unseen[[f"new-{docno}" for docno in held.index]].tolist() == pytest.approx(held.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", ["DenseRetriever", "DenseScorer"])
def test_another_model_is_refused_unless_asked_for(name: str, world: World) -> None:
    make: Callable[..., pt.Transformer] = world.index.retriever if name == "DenseRetriever" else world.index.scorer
    for other in (world.other, world.model.with_settings(passage_length=30)):
        with pytest.raises(FingerprintError, match="check=False"):
            make(other)
        found = make(other, check=False)(CASES[name].frame)
        assert len(found)


def test_documents_that_the_index_does_not_hold(world: World) -> None:
    scorer = world.index.scorer(world.model)
    frame = pd.DataFrame({"qid": ["1"] * 3, "query": ["king"] * 3, "docno": ["d1", "new", "d2"]})
    with pytest.raises(DocumentNotFoundError, match=r"\b1\b.*'new'"):
        scorer(frame)
    with pytest.raises(DocumentNotFoundError, match="'7'"):
        scorer(frame.assign(docno=7))
    text = pd.Series([None, "red moon", float("nan")], dtype=object)
    title = pd.Series([None, "the cat", None], dtype=object)
    found = scorer(frame.assign(text=text, title=title)).set_index("docno")["score"]
    query = world.model.encode_queries(["king"])[0]
    assert found["new"] == pytest.approx(float(query @ world.model.encode_passages(["the cat red moon"])[0]), rel=1e-4)
    known = scorer(frame[frame["docno"] != "new"]).set_index("docno")["score"]
    assert found[known.index].tolist() == pytest.approx(known.tolist())
    only_new = scorer(frame.assign(docno=["x", "y", "z"], text="moon"))
    assert only_new["docno"].tolist() == ["z", "y", "x"], "equal texts score equally"


def test_arguments_that_cannot_be_meant_are_refused(world: World, tmp_path: Path) -> None:
    for make in (DenseRetriever, DenseScorer):
        with pytest.raises(IndexingError, match="there is no index"):
            make(AnceIndex(tmp_path / "none"), world.model)


@pytest.mark.parametrize("make", [AnceIndex, BM25Index])
def test_an_unknown_keyword_is_refused(make: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        make(tmp_path / "x").index(iter([]), nonsense=1)


def test_passages_keep_the_place_of_their_documents(world: World) -> None:
    found = (MaxP(8, 3) >> world.model.passages())(FRAME)
    counts = world.model.tokenizer.cut(world.model.settings.join_frame(FRAME), MaxP(8, 3)).counts_N.tolist()
    assert found["docno"].tolist() == [
        f"{docno}#{number}" for docno, count in zip(FRAME["docno"], counts, strict=True) for number in range(count)
    ]
    assert {encoding.passages for encoding in found["encoding"]} == {"maxp:8,3"}
    assert {encoding.passages for encoding in world.model.passages()(FRAME)["encoding"]} == {None}
    assert {encoding.fingerprint for encoding in found["encoding"]} == {world.model.fingerprint()}


@pytest.mark.parametrize("scheme", [FirstP(8), MaxP(8, 3), Chunks(8, 3), SlidingWindow(8, 3)], ids=repr)
def test_a_scheme_can_be_pickled(scheme: pt.Transformer) -> None:
    assert pickle.loads(pickle.dumps(scheme)) == scheme  # noqa: S301


def test_a_pickled_retriever_answers_the_same(world: World) -> None:
    retriever = world.index.retriever(world.model, 5)
    again = pickle.loads(pickle.dumps(retriever))  # noqa: S301
    assert_same(again(QUERIES), retriever(QUERIES))


@pytest.mark.parametrize("missing", [None, float("nan"), 7])
@pytest.mark.parametrize("make", [lambda world: world.model.queries(), lambda world: world.index.retriever(world.model)])
def test_a_query_that_is_no_string_is_refused(make: Callable[[World], pt.Transformer], missing: object, world: World) -> None:
    frame = pd.DataFrame({"qid": ["1", "2"], "query": pd.Series(["king", missing], dtype=object)})
    with pytest.raises(UsageError, match="query 2 must be a string, found"):
        make(world)(frame)


def our_transformers() -> set[type]:
    """All public transformers of the package, without base classes; indexers only index."""
    for module in pkgutil.walk_packages(ance_ir.__path__, "ance_ir."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[type] = set()
    waiting = [pt.Transformer]
    while waiting:
        waiting += (below := waiting.pop().__subclasses__())
        found.update(below)
    ours = {kind for kind in found if kind.__module__.startswith("ance_ir.") and "._" not in f"{kind.__module__}.{kind.__name__}"}
    concrete = {kind for kind in ours if not any(getattr(getattr(kind, name, None), "__isabstractmethod__", False) for name in dir(kind))}
    return {kind for kind in concrete if not issubclass(kind, pt.Indexer) and kind.transform is not pt.Transformer.transform}


def test_every_transformer_has_a_case(world: World) -> None:
    ours = our_transformers()
    assert {DenseRetriever, BertReranker} <= ours
    assert ours - {type(single.make(world)) for single in ONE.values()} == set()


def test_a_pickled_transformer_answers_the_same(case: Case, world: World) -> None:
    transformer = case.make(world)
    again = pickle.loads(pickle.dumps(transformer))  # noqa: S301
    assert type(again) is type(transformer)
    assert_same(again(case.frame), transformer(case.frame))


def test_one_row_among_hundreds_gets_the_answer_that_it_gets_alone(case: Case, world: World) -> None:
    transformer, count = case.make(world), case.many
    key = "docno" if case.frame is FRAME else "qid"
    pattern = case.frame[case.frame[key] == case.frame[key].iloc[0]]
    texts = [" ".join(np.random.default_rng(number).choice(WORDS, 1 + number % 7)) for number in range(count)]
    told = {"docno": "text", "qid": "query"}[key]
    frames = [pattern.assign(**{key: f"n{number}", told: text}) for number, text in enumerate(texts)]
    together = transformer(pd.concat(frames))
    assert len(together)
    for number in (0, count - 1):
        alone = transformer(frames[number])
        same = together[together[key].str.replace(r"#\d+$", "", regex=True) == f"n{number}"]
        assert_same(same.reset_index(drop=True), alone.reset_index(drop=True))


@pytest.mark.parametrize("plan", ["linear", "tree"])
def test_an_experiment(plan: str, world: World) -> None:
    dense, scorer = world.index.retriever(world.model, 10), world.index.scorer(world.model, aggregation="mean")
    bert, loader = BertReranker(world.reranker, dataset=world.dataset), world.dataset.text_loader(("title", "text"))
    systems = {
        "dense": dense,
        "rescored": dense >> scorer,
        "reranked": dense % 5 >> bert,
        "loaded": dense % 5 >> loader >> BertReranker(world.reranker),
        "twice": dense % 5 >> bert % 3 >> scorer,
        "ranks": ReciprocalRankFusion(dense, dense >> scorer),
        "sum": WeightedSum(dense, dense >> scorer, normalization="z") % 7,
        "average": dense >> AveragePRF(world.index, model=world.model) >> dense,
        "rocchio": world.model.queries(cache=world.cache) >> dense >> RocchioPRF(world.index) >> dense,
        "encoder": dense >> loader >> AncePRF(world.model, length=64) >> dense,
    }
    if "pisa" in world.bm25:
        systems["bm25"] = bm25(world)
        systems["hybrid"] = WeightedSum(bm25(world), dense, weights=(1, 1.1))
    generator = np.random.default_rng(0)
    pairs = [(qid, document["docno"], int(generator.integers(0, 3))) for qid in QUERIES["qid"] for document in DOCUMENTS]
    qrels = pd.DataFrame(pairs, columns=["qid", "docno", "label"])
    found = pt.Experiment(systems, QUERIES, qrels, ["ndcg", "num_ret"], plan=plan, validate="error").set_index("name")
    for name, system in systems.items():
        expected = pt.Evaluate(system(QUERIES), qrels, ["ndcg", "num_ret"])
        assert found.loc[name].to_dict() == pytest.approx(expected)
    assert found["ndcg"].nunique() > 5
