from __future__ import annotations

import json
import math
import pickle
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.errors import AnceError, DamagedIndexError, IndexingError, MissingDependencyError, UsageError
from ance_ir.pipelines import RM3, BM25Index, BM25Retriever
from ance_ir.pipelines.bm25.engine import find_analysis
from ance_ir.pipelines.bm25.engines import ENGINES as BM25_ENGINES
from ance_ir.ranking import rank_results
from tests.engines import missing, need

DOCUMENTS: list[dict[str, Any]] = [
    {"docno": "a/b", "text": "apple apple banana"},
    {"docno": "d2", "text": "apple banana\nbanana\r\ncherry", "url": "grape"},
    {"docno": "d10", "title": "Grape", "text": "cherry"},
    {"docno": "empty", "text": ""},
    {"docno": "stop", "text": "the of and", "title": None},
    {"docno": "é", "text": "naïve ? \0 U.S.A. don't \u2028日本"},
    *({"docno": f"tie{number:02}", "text": "walnut juice"} for number in np.random.default_rng(0).permutation(30)),
]


def queries(*texts: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"qid": [str(number) for number in range(len(texts))], "query": list(texts)}, dtype=object
    )  # of pyarrow's strings a half surrogate is none


@pytest.fixture(scope="module", params=BM25_ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    need(name)
    return name


@pytest.fixture(scope="module")
def index(engine: str, tmp_path_factory: pytest.TempPathFactory) -> BM25Index:
    return BM25Index(tmp_path_factory.mktemp("bm25") / "x.bm25", engine=engine).index(iter(DOCUMENTS))


@pytest.fixture(scope="module")
def pisa(tmp_path_factory: pytest.TempPathFactory) -> BM25Index:
    need("pisa")
    return BM25Index(tmp_path_factory.mktemp("pisa") / "x.bm25").index(iter(DOCUMENTS))


def again(index: BM25Index, **settings: Any) -> BM25Index:
    """The same index, opened anew."""
    return BM25Index(index.path, **{"engine": index.engine, **settings})


def test_scores_of_pisa_are_those_of_the_formula(pisa: BM25Index) -> None:
    bags = {document["docno"]: f"{document.get('title') or ''} {document['text']}".lower().split() for document in DOCUMENTS}
    # what PISA makes of the one document that is not plain English
    bags["é"] = ["na", "ve", "usa", "don"]
    mean = sum(map(len, bags.values())) / len(bags)

    def score(word: str, bag: list[str]) -> float:
        among = sum(word in other for other in bags.values())
        weight = max(1e-6, math.log((len(bags) - among + 0.5) / (among + 0.5))) * 1.9
        frequency = Counter(bag)[word]
        return weight * frequency / (frequency + 0.9 * (0.6 + 0.4 * len(bag) / mean))

    results = pisa.retriever()(queries("apple banana", "grape", "cherry apple", "don"))
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
    search = index.searcher.search

    def record(texts: list[str], k: int, *arguments: Any, **options: Any) -> Any:
        asked.append((k, len(texts)))
        return search(texts, k, *arguments, **options)

    monkeypatch.setattr(index.searcher, "search", record)
    index.retriever(1)(queries("walnut", "apple"))
    assert asked == [(2, 2), (8, 1), (32, 1)]


def test_equal_documents_score_equally_whatever_the_cutoff(engine: str, tmp_path: Path) -> None:
    # PISA's block-max algorithms add up the same words in another order from document to document
    random = np.random.default_rng(0)
    words = [f"w{number}" for number in range(80)]
    count = 300 if engine == "terrier" else 1500  # PyTerrier takes its results one by one
    texts = [" ".join(random.choice(words, 12)) for _ in range(count)]
    documents = [{"docno": f"{copy}{number}", "text": text} for copy in "ab" for number, text in enumerate(texts)]
    asked = queries(*(" ".join(random.choice(words, 9, replace=False)) for _ in range(60)))
    retriever = BM25Index(tmp_path / "x", engine=engine).index(iter(documents)).retriever(len(documents) + 1)
    results = retriever(asked)
    assert (results.groupby(["qid", results["docno"].str[1:]])["score"].agg(["nunique", "size"]) == [1, 2]).all(axis=None)
    for k in (1, 10, 25):
        pd.testing.assert_frame_equal((retriever % k)(asked), results[results["rank"] < k].reset_index(drop=True))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("the of", {}),
        ("zzz", {}),
        ("", {}),
        ("  ", {}),
        ("日本", {"lucene": 1}),
        ("\0", {}),
        ("\ud800", {}),
        ("c++ ?! () ^~ *", {}),
        ("\"apple' AND (banana:^2)~ \\ [", {"pisa": 2, "lucene": 2, "terrier": 2}),
        ("GRAPE", {"pisa": 1, "lucene": 1, "terrier": 1}),
        ("naïve", {"pisa": 1, "lucene": 1, "terrier": 1}),
        ("U.S.A.", {"pisa": 1, "lucene": 1}),
        ("don’t", {"pisa": 1, "terrier": 1}),
        ("x" * 100_000, {}),
        (" ".join(f"w{number}" for number in range(3000)) + " grape", {"pisa": 1, "lucene": 1, "terrier": 1}),
        ("\0walnut\0", {"pisa": 30, "lucene": 30, "terrier": 30}),
    ],
)
@pytest.mark.parametrize("rm3", [None, RM3()], ids=["plain", "rm3"])
def test_queries_of_any_kind(index: BM25Index, query: str, found: dict[str, int], rm3: RM3 | None) -> None:
    if rm3 and not index.has_rm3:
        pytest.skip(f"{index.engine} has no RM3")
    results = index.retriever(rm3=rm3)(queries(query, "apple"))
    counts = [(results["qid"] == qid).sum() for qid in "01"]
    if rm3:  # words of the documents find more
        assert (counts[0] > 0) == (index.engine in found)
        assert counts[1] == 3
    else:
        assert counts == [found.get(index.engine, 0), 2]


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
        ["z", "a/b", 0],
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
    anew = again(index).retriever(k1=1.2, b=0.75)
    pd.testing.assert_frame_equal(anew(queries("apple")), other(queries("apple")))


def test_pisa_keeps_what_it_prepared_for_other_parameters(pisa: BM25Index) -> None:
    for _ in range(2):
        again(pisa).retriever(k1=1.2, b=0.75)(queries("apple"))
    index = pisa
    assert sorted(path.name for path in index.path.glob("pisa*")) == ["pisa", "pisa-k1-1.2-b-0.75"]


def test_threads_change_nothing(index: BM25Index) -> None:
    texts = ["apple", "walnut", "", "cherry banana"] * 5
    threaded = again(index, threads=3).retriever(4)
    pd.testing.assert_frame_equal(threaded(queries(*texts)), index.retriever(4)(queries(*texts)))


def test_stopwords_of_pisa_are_the_querys(pisa: BM25Index) -> None:
    assert again(pisa, stopwords="none").retriever()(queries("the"))["docno"].tolist() == ["stop"]


def test_a_cutoff_is_never_loosened(index: BM25Index) -> None:
    retriever = index.retriever(20, k1=0.8)
    for cut, told in (
        (retriever % 5, "num_results=5, k1=0.8"),
        (retriever % 50, "num_results=20, k1=0.8"),
        ((retriever >> pt.RankCutoff(3)).compile(), "num_results=3, k1=0.8"),
        (pt.inspect.transformer_apply_attributes(retriever, b=0.5), "num_results=20, k1=0.8, b=0.5"),
    ):
        assert repr(cut) == f"BM25Retriever({index.path}, {told})"


def test_equality_of_indexes_is_that_of_the_configuration(index: BM25Index) -> None:
    assert index == again(index, threads=2)
    assert index != again(index, stopwords="none")
    assert index != BM25Index(index.path / "other", engine=index.engine)
    assert len({BM25Index(index.path, engine=name) for name in ("pisa", "lucene")}) == 2


def test_a_pickled_retriever_opens_its_index_again(index: BM25Index) -> None:
    retriever = index.retriever(3)
    expected = retriever(queries("walnut"))
    loaded = pickle.loads(pickle.dumps(retriever))  # noqa: S301
    pd.testing.assert_frame_equal(loaded(queries("walnut")), expected)


def test_empty_frames_and_inspection_open_no_index(index: BM25Index, monkeypatch: pytest.MonkeyPatch) -> None:
    retriever = again(index).retriever()
    monkeypatch.setattr(BM25Index, "searcher", None)
    results = retriever(queries().assign(more=[]))
    assert results.columns.tolist() == ["qid", "query", "more", "docno", "score", "rank"]
    assert pt.inspect.transformer_inputs(retriever) == [["qid", "query"]]
    assert pt.inspect.transformer_outputs(retriever, ["qid", "query"]) == ["qid", "query", "docno", "score", "rank"]
    with pytest.raises(pt.validate.InputValidationError):
        retriever(pd.DataFrame({"qid": ["1"], "query": ["x"], "docno": ["d"]}))


def test_nothing_is_printed(index: BM25Index, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    index = BM25Index(tmp_path / "x", engine=index.engine).index(iter(DOCUMENTS))  # Java runs: PyTerrier says when it has started it
    index.retriever(rm3=RM3() if index.has_rm3 else None)(queries("apple"))
    assert capfd.readouterr() == ("", "")
    again(index).retriever(verbose=True)(queries("apple"))
    assert "BM25" in capfd.readouterr().err.upper()


def test_an_index_is_overwritten_only_when_asked(engine: str, tmp_path: Path) -> None:
    index = BM25Index(tmp_path / "x", engine=engine, stemmer="none").index([{"docno": "a", "text": "apples"}])
    retriever = index.retriever()
    # one document, k far above, and a word in every document
    assert retriever(queries("apples", "apple"))["docno"].tolist() == ["a"]
    with pytest.raises(IndexingError, match="overwrite=True"):
        again(index).index(iter(DOCUMENTS))
    with pytest.raises(IndexingError, match=r"built with stemmer='none', not 'porter2?'"):
        again(index).retriever()
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
        (failing, BrokenPipeError, "the source broke"),
        ([], IndexingError, "no document"),
        ([*DOCUMENTS, DOCUMENTS[1]], AnceError, "'d2'"),
        ([{"docno": 7, "text": "x"}], IndexingError, "document 1: .*7"),
        ([{"docno": "d", "text": "x"}, {"docno": "", "text": "x"}], IndexingError, "document 2: .*''"),
        ([{"docno": "a b", "text": "x"}], IndexingError, "document 1: .*'a b'"),
        ([{"docno": "d", "text": None}], IndexingError, "'d'.*'text', found None"),
        ([{"docno": "d"}], IndexingError, "'d'.*'text', found None"),
        ([{"docno": "d", "text": "x", "title": 3}], IndexingError, "'d'.*'title', found 3"),
        ([{"docno": "d", "text": "\ud800"}], IndexingError, "'d'.*'text'"),
    ],
)
def test_what_cannot_be_indexed_leaves_nothing(engine: str, tmp_path: Path, documents: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BM25Index(tmp_path / "x", engine=engine).index(documents() if callable(documents) else documents)
    assert list(tmp_path.iterdir()) == []


def test_documents_without_a_word_that_pisa_knows(tmp_path: Path) -> None:
    need("pisa")
    with pytest.raises(IndexingError, match=r"none of the 2 documents has one \(these are in CJK script\).*language=CODE"):
        BM25Index(tmp_path / "x").index([{"docno": "d", "text": ""}, {"docno": "e", "text": "日本"}])
    assert list(tmp_path.iterdir()) == []


def test_a_builder_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ance_ir.pipelines.bm25.engines.pisa._BUILDER", "raise SystemExit('no more memory')")
    endless = ({"docno": str(number), "text": "word " * 1000} for number in range(10_000_000))
    with pytest.raises(IndexingError, match="no more memory"):
        BM25Index(tmp_path / "x").index(endless)
    assert list(tmp_path.iterdir()) == []


def test_documents_that_get_lost_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ance_ir.pipelines.bm25.engines import pisa

    monkeypatch.setattr(pisa, "_BUILDER", "import os\nwhile os.read(0, 1) != b'\\n': pass\n" + pisa._BUILDER)
    with pytest.raises(IndexingError, match="36 documents were given, pisa indexed 35"):
        BM25Index(tmp_path / "x").index(iter(DOCUMENTS))


def test_half_an_index_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="there is no index; build one with"):
        BM25Index(tmp_path / "x").retriever()
    (tmp_path / "x").mkdir()
    with pytest.raises(DamagedIndexError, match="no manifest"):
        BM25Index(tmp_path / "x").retriever()
    for content, message in (("{", "expected JSON"), ('{"format": 0}', "format 0 is not 2")):
        (tmp_path / "x" / "manifest.json").write_text(content, encoding="utf-8")
        with pytest.raises(DamagedIndexError, match=message):
            BM25Index(tmp_path / "x").retriever()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stemmer": "snow"}, "stemmer.*'snow'.*porter2, krovetz, none"),
        ({"stopwords": "all"}, "stop words.*'all'.*terrier, lucene, none"),
        ({"engine": "lucene", "stemmer": "porter2"}, "stemmer.*'porter2'.*porter, krovetz, none"),
        ({"engine": "lucene", "stopwords": "terrier"}, "stop words.*'terrier'.*lucene, none"),
        ({"engine": "terrier", "stopwords": "lucene"}, "stop words.*'lucene'.*terrier, none"),
        ({"engine": "solr"}, "engine 'solr'.*lucene, pisa, terrier"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BM25Index(tmp_path, **settings)


@pytest.mark.parametrize("settings", [{"num_results": 0}, {"k1": -1}, {"b": 1.5}, {"k1": math.nan}, {"k1": math.inf}])
def test_parameters_that_cannot_be_meant_are_refused(index: BM25Index, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        index.retriever(**settings)


def test_it_ends_a_pipeline(engine: str, tmp_path: Path) -> None:
    shorten = pt.apply.text(lambda row: row["text"].split()[0])
    pipeline = shorten >> BM25Index(tmp_path / "x", engine=engine)
    index = pipeline.index([{"docno": "a", "text": "apple pear"}, {"docno": "b", "text": "pear apple"}])
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


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"engine": "other"}, "built with engine='{index.engine}', not '{other}'"),
        ({"stemmer": "none"}, "built with stemmer='{index.stemmer}', not 'none'"),
    ],
)
def test_what_an_index_is_not_is_refused(index: BM25Index, asked: dict[str, str], message: str) -> None:
    other = "lucene" if index.engine == "pisa" else "pisa"
    asked = {name: value.replace("other", other) for name, value in asked.items()}
    with pytest.raises(IndexingError, match=message.format(index=index, other=other)):
        again(index, **asked).retriever()


def test_an_index_that_names_no_engine_is_pisas(pisa: BM25Index, tmp_path: Path) -> None:
    path = shutil.copytree(pisa.path, tmp_path / "x", symlinks=True)
    manifest = {"format": 1, "documents": len(DOCUMENTS), "stemmer": "porter2"}
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    expected = pisa.retriever()(queries("apple", "walnut"))
    pd.testing.assert_frame_equal(BM25Index(path).retriever()(queries("apple", "walnut")), expected)
    with pytest.raises(IndexingError, match="built with engine='pisa', not 'lucene'"):
        BM25Index(path, engine="lucene").retriever()


def test_an_engine_without_rm3_says_which_has_it(pisa: BM25Index) -> None:
    with pytest.raises(UsageError, match='the engine pisa has no RM3: build the index with engine="lucene"'):
        pisa.retriever(rm3=RM3())


@pytest.mark.parametrize("settings", [{"fb_docs": 0}, {"fb_terms": 0}, {"original_query_weight": 1.1}, {"original_query_weight": math.nan}])
def test_rm3_that_cannot_be_meant_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at least 1 document and 1 term, and a weight from 0 to 1"):
        RM3(**settings)


def test_the_cache_keeps_engines_and_analyses_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ance_ir import load_dataset
    from ance_ir.pipelines import dataset_bm25

    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "corpus.jsonl").write_text('{"docno": "a", "text": "the apples"}\n', encoding="utf-8")
    dataset = load_dataset(str(tmp_path / "d"))
    asked: list[dict[str, Any]] = [{}, {"stopwords": "lucene"}, {"stemmer": "none"}]
    if not missing("lucene"):
        asked += [{"engine": "lucene"}, {"engine": "lucene", "stopwords": "none"}, {"engine": "lucene", "stemmer": "none"}]
    for settings in asked * 2:
        assert len(dataset_bm25(dataset, **settings).retriever()(queries("apples"))) == 1
    mark = dataset.corpus_fingerprint
    names = [mark, *(f"{mark}-{end}" for end in ("stemmer-none", "lucene", "lucene-stopwords-none", "lucene-stemmer-none"))]
    assert {path.name for path in (tmp_path / "cache" / "bm25").iterdir()} == set(names[: len(asked) - 1])


def test_pisa_says_which_words_it_does_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    documents = [{"docno": "d1", "text": "Москва и снег 1"}, {"docno": "d2", "text": "café of snow"}, {"docno": "d3", "text": "雪"}]
    index = BM25Index(tmp_path / "x").index(iter(documents))
    assert len(caplog.records) == 1
    assert all(told in caplog.text for told in ("2 of 3", "d1", "d3", "engine=lucene"))
    caplog.clear()
    found = index.retriever()(queries("снег", "of the", "snow", "nowhere", "", "снег snow"))
    assert len(found) == 2
    (said,) = (record.getMessage() for record in caplog.records)  # that stop words alone find nothing is what they are for
    assert all(part in said for part in ("1 queries", "'снег'", "engine=lucene"))


def test_a_corpus_without_a_word_that_pisa_reads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(IndexingError, match="engine=lucene"):
        BM25Index(tmp_path / "x").index(iter([{"docno": "d1", "text": "снег"}]))


@pytest.mark.parametrize("name", BM25_ENGINES)
def test_every_engine_has_an_analysis_of_its_own(name: str, tmp_path: Path) -> None:
    engine = BM25_ENGINES[name]
    default = find_analysis(engine, None, None)
    assert (default.stemmer, default.stopwords) == (engine.stemmers[0], engine.stopwords[0])
    for stemmer in engine.stemmers:
        for stopwords in engine.stopwords:
            assert find_analysis(engine, stemmer, stopwords).stemmer == stemmer
    assert {"language"} <= set(engine.baked) <= {"language", "stemmer", "stopwords"}
    try:
        index = BM25Index(tmp_path / "x", engine=name)
    except MissingDependencyError:
        return
    assert (index.stemmer, index.stopwords, index.has_rm3) == (default.stemmer, default.stopwords, engine.has_rm3)
