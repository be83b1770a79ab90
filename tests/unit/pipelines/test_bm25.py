from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

pytest.importorskip("pyterrier_pisa")

from ance_ir.errors import AnceError, DamagedIndexError, IndexingError, MissingDependencyError, UsageError
from ance_ir.pipelines.bm25 import BM25Index, BM25Retriever
from ance_ir.ranking import rank_results

DOCUMENTS: list[dict[str, Any]] = [
    {"docno": "a b", "text": "apple apple banana"},
    {"docno": "d2", "text": "apple banana\nbanana\r\ncherry", "url": "grape"},
    {"docno": "d10", "title": "Grape", "text": "cherry"},
    {"docno": "empty", "text": ""},
    {"docno": "stop", "text": "the of and", "title": None},
    {"docno": "é\n", "text": "naïve \ud800 \0 U.S.A. don't \u2028日本"},
    *({"docno": f"tie{number:02}", "text": "walnut juice"} for number in np.random.default_rng(0).permutation(30)),
]


def queries(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"qid": [str(number) for number in range(len(texts))], "query": list(texts)}, dtype=str)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> BM25Index:
    return BM25Index(tmp_path_factory.mktemp("bm25") / "x.bm25").index(iter(DOCUMENTS))


def test_scores_are_those_of_the_formula(index: BM25Index) -> None:
    bags = {document["docno"]: f"{document.get('title') or ''} {document['text']}".lower().split() for document in DOCUMENTS}
    # what PISA makes of the one document that is not plain English
    bags["é\n"] = ["na", "ve", "usa", "don"]
    mean = sum(map(len, bags.values())) / len(bags)

    def score(word: str, bag: list[str]) -> float:
        among = sum(word in other for other in bags.values())
        weight = max(1e-6, math.log((len(bags) - among + 0.5) / (among + 0.5))) * 1.9
        frequency = Counter(bag)[word]
        return weight * frequency / (frequency + 0.9 * (0.6 + 0.4 * len(bag) / mean))

    results = index.retriever()(queries("apple banana", "grape", "cherry apple", "don"))
    texts = ["apple banana", "grape", "cherry apple", "don"]
    for qid, found in results.groupby("qid"):
        expected = {docno: sum(score(word, bag) for word in texts[int(qid)].split()) for docno, bag in bags.items()}
        expected = {docno: value for docno, value in expected.items() if value > 0}
        assert dict(zip(found["docno"], found["score"], strict=True)) == pytest.approx(expected, rel=1e-5)


def test_title_is_searched_and_other_fields_are_not(index: BM25Index) -> None:
    assert index.retriever()(queries("GRAPES"))["docno"].tolist() == ["d10"]


@pytest.mark.parametrize("k", [1, 5, 29, 30, 31, 1000])
def test_ties_at_the_cutoff_are_the_last_docnos(index: BM25Index, k: int) -> None:
    results = index.retriever(k)(queries("walnut", "apple", "juice walnut"))
    tied = [f"tie{number:02}" for number in range(29, -1, -1)][:k]
    for qid in "02":
        assert results[results["qid"] == qid]["docno"].tolist() == tied
    assert len(results[results["qid"] == "1"]) == min(k, 2)
    pd.testing.assert_frame_equal(rank_results(results), results)


def test_ties_are_found_however_many_there_are(index: BM25Index, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    engine = index.engine(0.9, 0.4)
    transform = engine.transform

    def record(frame: pd.DataFrame) -> pd.DataFrame:
        asked.append((engine.num_results, len(frame)))
        return transform(frame)

    monkeypatch.setattr(engine, "transform", record)
    index.retriever(1)(queries("walnut", "apple"))
    assert asked == [(2, 2), (8, 1), (32, 1)]


def test_equal_documents_score_equally_whatever_the_cutoff(tmp_path: Path) -> None:
    # PISA's block-max algorithms add up the same words in another order from document to document
    random = np.random.default_rng(0)
    words = [f"w{number}" for number in range(80)]
    texts = [" ".join(random.choice(words, 12)) for _ in range(1500)]
    documents = [{"docno": f"{copy}{number}", "text": text} for copy in "ab" for number, text in enumerate(texts)]
    asked = queries(*(" ".join(random.choice(words, 9, replace=False)) for _ in range(60)))
    retriever = BM25Index(tmp_path / "x").index(iter(documents)).retriever(len(documents) + 1)
    results = retriever(asked)
    assert (results.groupby(["qid", results["docno"].str[1:]])["score"].agg(["nunique", "size"]) == [1, 2]).all(axis=None)
    for k in (1, 10, 25):
        pd.testing.assert_frame_equal((retriever % k)(asked), results[results["rank"] < k].reset_index(drop=True))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("the of", 0),
        ("zzz", 0),
        ("", 0),
        ("  ", 0),
        ("日本", 0),
        ("\0", 0),
        ("\ud800", 0),
        ("c++ ?! () ^~ *", 0),
        ("\"apple' AND (banana:^2)~ \\ [", 2),
        ("naïve", 1),
        ("U.S.A.", 1),
        ("don’t", 1),
        ("x" * 100_000, 0),
        ("\0walnut\0", 30),
    ],
)
def test_queries_of_any_kind(index: BM25Index, query: str, found: int) -> None:
    results = index.retriever()(queries(query, "apple"))
    assert (results["qid"] == "0").sum() == found
    assert (results["qid"] == "1").sum() == 2


def test_no_results_at_all_have_every_column(index: BM25Index) -> None:
    results = index.retriever()(queries("zzz").assign(more=1))
    assert results.columns.tolist() == ["qid", "query", "more", "docno", "score", "rank"]
    assert results.empty


def test_columns_of_the_queries_survive_row_by_row(index: BM25Index) -> None:
    frame = pd.DataFrame(
        {"qid": ["1", "1", "0"], "query": ["grape", "walnut", "apple"], "query_0": ["x", "y", "z"], "score": 7.0, "rank": 9},
        index=[5, 5, 2],
    )
    before = frame.copy()
    results = index.retriever(2)(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert results.columns.tolist() == ["qid", "query", "query_0", "docno", "score", "rank"]
    assert results[["query_0", "docno", "rank"]].to_numpy().tolist() == [
        ["x", "d10", 0],
        ["y", "tie29", 0],
        ["y", "tie28", 1],
        ["z", "a b", 0],
        ["z", "d2", 1],
    ]
    assert results["score"].dtype == float
    assert results["rank"].dtype == int


def test_a_query_that_is_no_string_is_refused(index: BM25Index) -> None:
    frame = pd.DataFrame({"qid": ["a", "b"], "query": ["apple", None]}, dtype=object)
    with pytest.raises(UsageError, match="query b must be a string, found None"):
        index.retriever()(frame)


def test_parameters_change_the_scores(index: BM25Index) -> None:
    other = index.retriever(k1=1.2, b=0.75)
    assert not np.allclose(other(queries("apple"))["score"], index.retriever()(queries("apple"))["score"])
    again = BM25Index(index.path).retriever(k1=1.2, b=0.75)
    pd.testing.assert_frame_equal(again(queries("apple")), other(queries("apple")))
    assert sorted(path.name for path in index.path.glob("pisa*")) == ["pisa", "pisa-k1-1.2-b-0.75"]


def test_threads_change_nothing(index: BM25Index) -> None:
    texts = ["apple", "walnut", "", "cherry banana"] * 5
    threaded = BM25Index(index.path, threads=3).retriever(4)
    pd.testing.assert_frame_equal(threaded(queries(*texts)), index.retriever(4)(queries(*texts)))


def test_stopwords_are_the_querys(index: BM25Index) -> None:
    assert BM25Index(index.path, stopwords="none").retriever()(queries("the"))["docno"].tolist() == ["stop"]


def test_a_cutoff_is_fused_and_never_loosened(index: BM25Index) -> None:
    retriever = index.retriever(20, k1=0.8)
    assert retriever % 5 == index.retriever(5, k1=0.8)
    assert (retriever % 50) is retriever
    assert (retriever >> pt.RankCutoff(3)).compile() == index.retriever(3, k1=0.8)
    assert pt.inspect.transformer_apply_attributes(retriever, b=0.5) == index.retriever(20, k1=0.8, b=0.5)


def test_equality_is_that_of_the_configuration(index: BM25Index) -> None:
    other = BM25Index(str(index.path), threads=2)
    assert index.retriever(10) == other.retriever(10, verbose=True)
    assert len({index.retriever(10), other.retriever(10), index.retriever(11), index.retriever(10, b=0.5), index.retriever(10, k1=1)}) == 4
    assert index.retriever(10) != BM25Index(index.path, stopwords="none").retriever(10)
    assert index != BM25Index(index.path / "other")


def test_a_pickled_retriever_opens_its_index_again(index: BM25Index) -> None:
    retriever = index.retriever(3)
    expected = retriever(queries("walnut"))
    again = pickle.loads(pickle.dumps(retriever))  # noqa: S301
    assert again == retriever
    pd.testing.assert_frame_equal(again(queries("walnut")), expected)


def test_empty_frames_and_inspection_open_no_index(index: BM25Index, monkeypatch: pytest.MonkeyPatch) -> None:
    retriever = BM25Index(index.path).retriever()
    monkeypatch.setattr(BM25Index, "engine", None)
    results = retriever(queries().assign(more=[]))
    assert results.columns.tolist() == ["qid", "query", "more", "docno", "score", "rank"]
    assert pt.inspect.transformer_inputs(retriever) == [["qid", "query"]]
    assert pt.inspect.transformer_outputs(retriever, ["qid", "query"]) == ["qid", "query", "docno", "score", "rank"]
    with pytest.raises(pt.validate.InputValidationError):
        retriever(pd.DataFrame({"qid": ["1"], "query": ["x"], "docno": ["d"]}))


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    BM25Index(tmp_path / "x").index(iter(DOCUMENTS)).retriever()(queries("apple"))
    assert capfd.readouterr() == ("", "")
    BM25Index(tmp_path / "x").retriever(verbose=True)(queries("apple"))
    assert "BM25" in capfd.readouterr().err.upper()


def test_an_index_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    index = BM25Index(tmp_path / "x", stemmer="none").index([{"docno": "a", "text": "apples"}])
    retriever = index.retriever()
    # one document, k far above, and a word in every document
    assert retriever(queries("apples", "apple"))["docno"].tolist() == ["a"]
    with pytest.raises(IndexingError, match="holds an index already; choose another path, or overwrite=True"):
        BM25Index(tmp_path / "x").index(iter(DOCUMENTS))
    with pytest.raises(IndexingError, match="built with stemmer='none', not 'porter2'"):
        BM25Index(tmp_path / "x").retriever()
    index.overwrite = True
    index.index([{"docno": "b", "text": "pear"}, {"docno": "c", "text": "apples"}])
    assert len(index) == 2
    assert retriever(queries("apples"))["docno"].tolist() == ["c"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def failing() -> Iterator[dict[str, Any]]:
    yield from DOCUMENTS
    raise BrokenPipeError("the source broke")


@pytest.mark.parametrize(
    ("documents", "error", "message"),
    [
        (failing(), BrokenPipeError, "the source broke"),
        ([], IndexingError, "there was no document to index"),
        ([*DOCUMENTS, DOCUMENTS[1]], AnceError, "'d2'"),
        ([{"docno": 7, "text": "x"}], IndexingError, "docno must be a string of at least one character, found 7"),
        ([{"docno": "", "text": "x"}], IndexingError, "docno must be a string of at least one character, found ''"),
        ([{"docno": "d", "text": None}], IndexingError, "document d: its text must be a string, found None"),
        ([{"docno": "d"}], IndexingError, "document d: its text must be a string, found None"),
        ([{"docno": "d", "text": "x", "title": 3}], IndexingError, "document d: its title must be a string, found 3"),
        ([{"docno": "d", "text": ""}, {"docno": "e", "text": "日本"}], IndexingError, "needs a document with a word of ASCII letters"),
    ],
)
def test_what_cannot_be_indexed_leaves_nothing(tmp_path: Path, documents: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BM25Index(tmp_path / "x").index(documents)
    assert list(tmp_path.iterdir()) == []


def test_a_builder_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.pipelines.pisa._BUILDER", "raise SystemExit('no more memory')")
    endless = ({"docno": str(number), "text": "word " * 1000} for number in range(10_000_000))
    with pytest.raises(IndexingError, match=r"PISA could not build the index.*: no more memory"):
        BM25Index(tmp_path / "x").index(endless)
    assert list(tmp_path.iterdir()) == []


def test_documents_that_get_lost_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ance_ir.pipelines import pisa

    monkeypatch.setattr(pisa, "_BUILDER", pisa._BUILDER.replace("enumerate(sys.stdin)", "list(enumerate(sys.stdin))[1:]"))
    with pytest.raises(IndexingError, match="36 documents were given, PISA indexed 35"):
        BM25Index(tmp_path / "x").index(iter(DOCUMENTS))


def test_half_an_index_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="there is no index; build one with"):
        BM25Index(tmp_path / "x").retriever()
    (tmp_path / "x").mkdir()
    with pytest.raises(DamagedIndexError, match="no manifest"):
        BM25Index(tmp_path / "x").retriever()
    for content, message in (("{", "expected JSON"), ('{"format": 0}', "format 0 is not 1")):
        (tmp_path / "x" / "manifest.json").write_text(content, encoding="utf-8")
        with pytest.raises(DamagedIndexError, match=message):
            BM25Index(tmp_path / "x").retriever()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stemmer": "snow"}, "stemmer must be one of porter2, krovetz, none, not 'snow'"),
        ({"stopwords": "all"}, "stopwords must be one of terrier, lucene, none, not 'all'"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BM25Index(tmp_path, **settings)


@pytest.mark.parametrize("settings", [{"num_results": 0}, {"k1": -1}, {"b": 1.5}, {"k1": math.nan}])
def test_parameters_that_cannot_be_meant_are_refused(index: BM25Index, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at least"):
        index.retriever(**settings)


def test_without_pisa_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyterrier_pisa", None)
    with pytest.raises(MissingDependencyError, match="BM25Index needs the package pyterrier-pisa"):
        BM25Index(tmp_path)


def test_it_ends_a_pipeline(tmp_path: Path) -> None:
    shorten = pt.apply.text(lambda row: row["text"].split()[0])
    index = (shorten >> BM25Index(tmp_path / "x")).index([{"docno": "a", "text": "apple pear"}, {"docno": "b", "text": "pear apple"}])
    assert isinstance(index, BM25Index)
    assert index.retriever()(queries("pear"))["docno"].tolist() == ["b"]
    assert pt.inspect.indexer_inputs(index) == [["docno", "text"]]


def test_pyterriers_own_contract(index: BM25Index, monkeypatch: pytest.MonkeyPatch) -> None:
    import unittest

    monkeypatch.setenv("PT_TEST_TRANSFORMER_REPORTS", "0")
    case = pt.testing.transformer_test_class(lambda: index.retriever())
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun == 2
    assert (result.errors, result.failures) == ([], [])
    assert pt.inspect.subtransformers(index.retriever()) == {}
    assert isinstance(index.retriever(), BM25Retriever)


def test_interrupting_the_build_ends_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Recorded(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def interrupted() -> Iterator[dict[str, Any]]:
        yield DOCUMENTS[0]
        raise KeyboardInterrupt

    monkeypatch.setattr("subprocess.Popen", Recorded)
    with pytest.raises(KeyboardInterrupt):
        BM25Index(tmp_path / "x").index(interrupted())
    assert [process.returncode for process in started] == [-9]
    assert list(tmp_path.iterdir()) == []
