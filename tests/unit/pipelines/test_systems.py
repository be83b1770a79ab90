"""Systems from their text: each form gives what the same pipeline, put together in Python, gives."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyterrier as pt
import pytest

import ance_ir.pipelines.systems.cache as cache
from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import ModelError, PointedError, UsageError
from ance_ir.files import cache_folder
from ance_ir.indexes import AnceIndex, FirstP, MaxP, index_corpus
from ance_ir.models import CrossEncoder, DenseEncoder, MultiVectorEncoder, Reader, SparseEncoder
from ance_ir.pipelines import (
    GAR,
    LADR,
    RM3,
    AdaptiveLADR,
    AnswerReader,
    BertReranker,
    BestAnswer,
    BM25Index,
    ReciprocalRankFusion,
    Systems,
    WeightedSum,
    dataset_bm25,
    systems,
)
from ance_ir.pipelines.feedback import FEEDBACKS, AveragePRF, RocchioPRF
from ance_ir.pipelines.fusion import FUSIONS
from ance_ir.pipelines.fusion.base import Fusion
from ance_ir.pipelines.systems import SYSTEMS, dataset_dense, describe, load_pipelines
from ance_ir.pipelines.systems.checkpoints import checkpoint_for, collection_of
from ance_ir.pipelines.systems.kinds.dense import KIND
from tests.tiny import cross_encoder, encoder, reader

TEXTS = {
    "d1": "the cat sleeps and a king sings " * 4,
    "d2": "a dog runs and a bird sings",
    "d3": "a cat in the river runs to the city",
    "d4": "the old moon and a cat",
    "d5": "a queen in the river city sleeps",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection, an index of it, a BM25 index, a dense model and a reranker."""
    folder = tmp_path_factory.mktemp("systems")
    write_collection(folder / "collection", [{"docno": docno, "title": docno, "text": text} for docno, text in TEXTS.items()])
    encoder(seed=3).save(folder / "dense")
    cross_encoder().save(folder / "bert")
    reader().save(folder / "reader")
    reader("qa").model.save_pretrained(folder / "qa")
    reader("qa").tokenizer.tokenizer.save_pretrained(folder / "qa")
    dataset = load_dataset(folder / "collection")
    model = DenseEncoder.from_pretrained(folder / "dense", device="cpu")
    index_corpus(folder / "x.ance", model, dataset.store(), MaxP(8, 3))
    BM25Index(folder / "x.bm25", stemmer="none").index(dataset.documents())
    return folder


def write_collection(folder: Path, documents: list[dict[str, str]]) -> None:
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    (folder / "queries.tsv").write_text("q1\twho sleeps cat\nq2\tdog runs in the city\nq3\tking\n")
    (folder / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d2 1\n")


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return load_dataset(folder / "collection")


@pytest.fixture(scope="module")
def parts(folder: Path, dataset: Dataset) -> dict[str, pt.Transformer]:
    """The stages, put together in Python."""
    index = AnceIndex(folder / "x.ance")
    model = index.model(device="cpu")
    bert = CrossEncoder.from_pretrained(folder / "bert", device="cpu")
    text = dataset.text_loader(bert.settings.fields)
    dense = dataset_dense(dataset, model, FirstP())
    return {
        "bm25": dataset_bm25(dataset).retriever(),
        "index": index.retriever(model),
        "mean": index.retriever(model, aggregation="mean", backend="flat"),
        "scorer": index.scorer(model),
        "dense": dense.retriever(model),
        "dense scorer": dense.scorer(model),
        "bert": text >> BertReranker(bert),
        "maxp": text >> BertReranker(bert, MaxP(16, 2)),
        "ladr": LADR(index, model),
        "gar": GAR(index, model, budget=4, batch_size=2, neighbours=2),
        "adaptive": AdaptiveLADR(dense, model, depth=2, neighbours=2),
        "average": model.queries() >> index.retriever(model, 2) >> AveragePRF(index, 2) >> index.retriever(model),
        "rocchio": model.queries() >> index.retriever(model, 5) >> RocchioPRF(index, 5, 0.3, 0.7) >> index.retriever(model),
    }


Part = dict[str, pt.Transformer]

FORMS: dict[str, Callable[[Part], pt.Transformer]] = {
    "bm25": lambda p: p["bm25"],
    "BM25 % 2": lambda p: p["bm25"] % 2,
    "x.ance": lambda p: p["index"],
    "x.ance[backend=flat; aggregation=mean]": lambda p: p["mean"],
    "x.ance[prf=average:2]": lambda p: p["average"],
    "x.ance[prf=rocchio:5, 0.3, 0.7] % 3": lambda p: p["rocchio"] % 3,
    "bm25 % 2 >> x.ance[adaptive=ladr]": lambda p: p["bm25"] % 2 >> p["ladr"],
    "bm25 % 2 >> x.ance[adaptive=gar: 4, 2; graph=2,flat] % 3": lambda p: p["bm25"] % 2 >> p["gar"] % 3,
    "bm25 % 2 >> ance[model=dense; adaptive=adaptive-ladr:2; graph=2; aggregation=max]": lambda p: p["bm25"] % 2 >> p["adaptive"],
    "bm25 % 2 >> x.ance": lambda p: p["bm25"] % 2 >> p["scorer"],
    "bm25 % 3 >> x.ance % 2 >> ./bert": lambda p: p["bm25"] % 3 >> (p["scorer"] % 2) >> p["bert"],
    "bm25 >> ./bert[passages=maxp:16,2]": lambda p: p["bm25"] >> p["maxp"],
    "bm25 >> bert[model=./bert; passages=maxp:16,2]": lambda p: p["bm25"] >> p["maxp"],
    "ance[model=dense]": lambda p: p["dense"],
    "dpr[model=dense; passages=firstp]": lambda p: p["dense"],
    "ance-firstp[model=dense]": lambda p: p["dense"],
    "ance-maxp[model=dense; passages=firstp]": lambda p: p["dense"],
    "bm25-ance-rerank[model=dense]": lambda p: p["bm25"] % 100 >> p["dense scorer"],
    "bm25-bert-rerank[model=bert] % 2": lambda p: p["bm25"] % 100 >> p["bert"] % 2,
    "bm25 + x.ance": lambda p: WeightedSum(p["bm25"], p["index"]),
    "bm25 + 1.1 * x.ance % 2 >> ./bert": lambda p: WeightedSum(p["bm25"], p["index"] % 2, weights=(1, 1.1)) >> p["bert"],
    "bm25+dpr[model=dense]": lambda p: WeightedSum(p["bm25"], p["dense"], weights=(1, 1.1)),
    "rrf(bm25, x.ance, bm25 % 2 >> ./bert)": lambda p: ReciprocalRankFusion(p["bm25"], p["index"], p["bm25"] % 2 >> p["bert"]),
    "minmax(bm25, 0.5 * x.ance) % 3": lambda p: WeightedSum(p["bm25"], p["index"], weights=(1, 0.5), normalization="min-max") % 3,
    "z(bm25 % 5, 3 * x.ance % 4)": lambda p: WeightedSum(p["bm25"] % 5, p["index"] % 4, weights=(1, 3), normalization="z"),
    "z(2 * bm25, bm25 + x.ance)": lambda p: WeightedSum(p["bm25"], WeightedSum(p["bm25"], p["index"]), weights=(2, 1), normalization="z"),
    "bm25 % 3 >> x.ance + 0.1 * ./bert": lambda p: p["bm25"] % 3 >> WeightedSum(p["scorer"], p["bert"], weights=(1, 0.1)),
    "bm25 % 3 >> rrf(x.ance, ./bert)": lambda p: p["bm25"] % 3 >> ReciprocalRankFusion(p["scorer"], p["bert"]),
    "2 * (bm25 >> x.ance)": lambda p: 2 * (p["bm25"] >> p["scorer"]),
}


@pytest.mark.parametrize("text", FORMS)
def test_a_form(text: str, dataset: Dataset, parts: Part) -> None:
    name, system = Systems(dataset, device="cpu").parse(f"named = {text}")
    assert name == "named"
    found, expected = system(dataset.queries()), FORMS[text](parts)(dataset.queries())
    columns = ["qid", "docno", "score"]
    assert len(found)
    pd.testing.assert_frame_equal(found[columns], expected[columns], rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "k1", "b", "stemmer"),
    [
        ("bm25[k1=1.2; b=.75]", 1.2, 0.75, "porter2"),
        ("bm25[stemmer=none]", 0.9, 0.4, "none"),
        ("x.bm25[stemmer=none]", 0.9, 0.4, "none"),
        ("x.bm25", 0.9, 0.4, "none"),
    ],
)
def test_options_of_bm25(text: str, k1: float, b: float, stemmer: str, dataset: Dataset) -> None:
    _, system = Systems(dataset, num_results=7).parse(text)
    assert (system.k1, system.b, system.index.stemmer, system.num_results) == (k1, b, stemmer, 7)
    assert len(system(dataset.queries()))


def test_an_index_keeps_its_language_whatever_the_datasets_is(tmp_path: Path) -> None:
    write_collection(tmp_path / "german", [{"docno": "a", "text": "der Zug fährt"}])
    (tmp_path / "german" / "README.md").write_text("---\nlanguage: de\n---\n")
    dataset = load_dataset(tmp_path / "german")
    BM25Index(tmp_path / "x.bm25").index(dataset.documents())
    _, system = Systems(dataset).parse(f"{tmp_path / 'x.bm25'}")
    assert (dataset.language, system.index.language, system.index.stemmer) == ("de", "en", "porter2")


def test_relevance_feedback_of_words(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    identity = pt.Transformer.identity()
    monkeypatch.setattr(BM25Index, "has_rm3", True)
    monkeypatch.setattr(BM25Index, "retriever", lambda index, *arguments, **options: asked.append(options["rm3"]) or identity)
    for text in ("bm25[rm3=yes]", "bm25[rm3=5,20,0.6]", "bm25[rm3=no]"):
        Systems(dataset).parse(text)
    assert asked == [RM3(), RM3(5, 20, 0.6), None]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("bm26", 0, r"stage 'bm26'.*'bm25'.*\./bm26"),
        ("bm25 >> nowhere/x.ance % 3", 8, "nowhere/x.ance"),
        ("bm25 >> 'no such'", 8, "no such is not there"),
        ("bm25 >> ./collection", 8, "collection"),
        ("bm25 >> ./dense", 8, r"ance\[model=./dense\]"),
        ("bm25 >> bm25", 8, "bm25 only retrieves"),
        ("bm25 >> (x.ance >> x.bm25)", 19, "x.bm25 only retrieves"),
        ("bm25 + ./bert", 7, "bm25 % 100 >> ./bert"),
        ("./reader", 0, "bm25 % 20 >> ./reader"),
        ("bm25 >> ./reader[by=luck]", 17, "by is relevance or score, not 'luck'"),
        ("bm25 >> x.ance[aggregation=median]", 15, "'median'"),
        ("bm25 >> x.ance[backend=flat]", 8, "backend= is for an index that retrieves"),
        ("bm25 >> x.ance[prf=average]", 8, "prf= is for an index that retrieves"),
        ("x.ance[prf=mean]", 7, r"average\[:DEPTH\] or rocchio\[:DEPTH,ALPHA,BETA\]"),
        ("x.ance[prf=average:0]", 7, "prf=average: depth must be a whole number, at least 1, not 0"),
        ("x.ance[prf=rocchio:5,x,1]", 7, "prf=rocchio: alpha is a number, not 'x'"),
        ("x.ance[model=dense]", 7, "x.ance has the options backend, aggregation, prf, adaptive, graph, not 'model'"),
        ("x.ance[adaptive=ladr]", 0, "bm25 % 100 >> x.ance"),
        ("bm25 >> x.ance[graph=16]", 8, "adaptive=ladr; graph=16"),
        ("bm25 >> x.ance[adaptive=hnsw]", 15, r"adaptive-ladr\[:DEPTH\] or gar\[:BUDGET,BATCH_SIZE\] or ladr\[:HOPS\]"),
        ("bm25 >> x.ance[adaptive=gar:3]", 15, "adaptive is"),
        ("bm25 >> x.ance[adaptive=gar:3,0.5]", 15, "adaptive=gar: batch_size must be a whole number, at least 1, not 0.5"),
        ("bm25 >> x.ance[adaptive=ladr; graph=0]", 30, "graph is"),
        ("bm25 >> x.ance[adaptive=ladr; graph=16,hsnw]", 30, "hsnw"),
        ("bm25 >> x.ance[adaptive=ladr; graph=1001]", 30, "at most 1,000 neighbours"),
        ("bm25 >> x.ance[adaptive=ladr; graph=16,ray]", 30, "exact, tuned or a family"),
        ("bm25 >> x.ance[adaptive=ladr; prf=average]", 8, "prf= is for"),
        ("x.ance[backend=flat; backend=ivf]", 21, "backend comes twice"),
        ("bm25[k1=much]", 5, "'much'"),
        ("bm25[k1=-1]", 5, "k1 must be"),
        ("bm25[b=1.5]", 5, "b must be a finite number, 0 to 1, not 1.5"),
        ("bm25[rm3=perhaps]", 5, "rm3 is yes, no or DOCUMENTS,TERMS,WEIGHT"),
        ("bm25[rm3=0,10,0.5]", 5, "rm3=DOCUMENTS,TERMS,WEIGHT: at least 1 document"),
        ("bm25[engine=pisa; rm3=yes]", 0, r"lucene or terrier, not for pisa: bm25\[engine=lucene; rm3=yes\]"),
        ("bm25[stemmer=latin]", 0, "'latin'"),
        ("bm25[engine=google]", 5, "google"),
        ("ance[passages=longp]", 5, "'longp'"),
        ("ance[lower_case=perhaps; model=dense]", 5, "lower_case is yes or no"),
        ("ance[query_length=2]", 5, "query_length=2"),
        ("ance[model=./nothing]", 5, "there is no folder ./nothing"),
        ("bm25 >> bert[model=~/nothing/here]", 13, "there is no folder ~/nothing/here"),
        ("ance[fields=title,body]", 5, "fields"),
        ("ance[pooling=median]", 5, "pooling 'median'"),
        ("ance[similarity=l2]", 5, "similarity is cosine or dot, not 'l2'"),
        ("ance[backend=ifv]", 5, "'ifv'"),
        ("ance[instructions=yes; query_prefix=a]", 0, "exclude each other"),
        ("bm25 >> bert[passages=maxp:1]", 13, "maxp"),
        ("splade[bits=9]", 7, "bits must be a whole number, 1 to 8, not 9"),
        ("splade[bits=0]", 7, "bits must be a whole number, 1 to 8, not 0"),
        ("bm25 >> colbert[cache=perhaps]", 16, "cache is yes, no or a file"),
        ("rrf(bm25)", 0, "rrf"),
        ("rrf(bm25, 2 * x.ance)", 10, r"rrf.*minmax\(…\), z\(…\)"),
        ("rrf(bm25, 2 * x.ance % 3)", 10, r"rrf.*minmax\(…\), z\(…\)"),
        ("bm25-rm3[k1=1]", 0, "bm25-rm3 takes no options"),
        ("bm25 % 3 >> ance-firstp[models=dense]", 24, r"ance-firstp has the options model, passages, .*, not 'models'"),
    ],
)
def test_a_mistake_and_its_place(text: str, place: int, message: str, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("something was opened or built before all was checked")

    for opening in (DenseEncoder, SparseEncoder, CrossEncoder, MultiVectorEncoder, Reader):
        monkeypatch.setattr(opening, "from_pretrained", opened)
    for module in ("bm25.cache", "sparse.cache", "systems.cache"):
        monkeypatch.setattr(f"ance_ir.pipelines.{module}.make_once", opened)
    monkeypatch.setattr(AnceIndex, "model", opened)
    with pytest.raises(PointedError, match=message) as caught:
        Systems(dataset, device="cpu").parse(text)
    assert caught.value.place == place


@pytest.mark.parametrize(("name", "by"), [("reader", "relevance"), ("qa", "relevance"), ("reader", "score")])
def test_a_reader_answers_at_the_end(name: str, by: Literal["relevance", "score"], folder: Path, dataset: Dataset, parts: Part) -> None:
    options = "[by=score]" if by == "score" else ""
    found = systems.get(f"bm25 % 3 >> ./{name}{options}", dataset, device="cpu")(dataset.queries())
    answer = AnswerReader.from_pretrained(folder / name, device="cpu") >> BestAnswer(by)
    expected = (parts["bm25"] % 3 >> dataset.text_loader(("title", "text")) >> answer)(dataset.queries())
    assert {"qid", "qanswer", "docno"} <= set(found.columns)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


def test_all_texts_are_read_before_anything_is_opened(dataset: Dataset) -> None:
    parser = Systems(dataset)
    with pytest.raises(UsageError, match="or the end, found"):
        parser.parse_all(["ance[model=none]", "bm25 bm25"])
    with pytest.raises(UsageError, match=r"'bm25'.*NAME=bm25"):
        parser.parse_all(["ance[model=none]", "bm25", "bm25"])
    assert list(parser.parse_all(["b=bm25", "a=bm25 % 2"])) == ["b", "a"]


def test_a_checkpoint_that_is_not_at_hand(dataset: Dataset) -> None:
    parser = Systems(dataset, device="cpu")
    for text, name, told in [
        ("ance", "castorini/ance-msmarco-passage", "ance"),
        ("bm25-bert-rerank", "castorini/monobert-large-msmarco", "bm25-bert-rerank"),
        ("bm25+dpr", "facebook/dpr-question_encoder-multiset-base", r"bm25\+dpr"),
    ]:
        with pytest.raises(ModelError, match=rf"no model '{name}'.*hf download {name}.*in brackets: {told}\[model=FOLDER\]"):
            parser.parse(text)


def test_an_index_of_the_dataset_is_built_once_and_kept(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(cache, "index_corpus", lambda path, *rest, **options: built.append(path) or index_corpus(path, *rest, **options))
    forms = [
        "ance[model=dense; passages=maxp:9,2]",
        "ance[model=dense; passages=maxp:9,2] % 2",
        "bm25 >> dpr[model=dense; passages=maxp:9,2]",
    ]
    for text in forms:
        Systems(dataset, device="cpu").parse(text)
    assert len(built) == 1
    assert built[0].is_relative_to(cache_folder())
    for other in ("passages=maxp:9,3", "passages=maxp:9,2; query_length=9", "passages=maxp:9,2; lower_case=yes"):
        Systems(dataset, device="cpu").parse(f"ance[model=dense; {other}]")
    assert len(set(built)) == 4
    Systems(dataset, device="cpu", precision="bfloat16").parse(forms[0])
    assert len(set(built)) == 5, "what is computed in changes the vectors"


def test_a_model_is_opened_once(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = DenseEncoder.from_pretrained
    monkeypatch.setattr(DenseEncoder, "from_pretrained", lambda *args, **kwargs: opened.append(args) or original(*args, **kwargs))
    parser = Systems(dataset, device="cpu")
    for text in ("ance[model=dense]", "dpr[model=dense; passages=maxp:9,2]", "rrf(bm25, ance[model=dense])"):
        parser.parse(text)
    assert len(opened) == 1


def test_get(dataset: Dataset, folder: Path, parts: Part) -> None:
    system = systems.get("bm25 >> x.ance", str(folder / "collection"), device="cpu")
    expected = (parts["bm25"] >> parts["scorer"])(dataset.queries())
    pd.testing.assert_frame_equal(system(dataset.queries()), expected)
    assert systems.get("bm25", dataset, num_results=2).num_results == 2


def test_every_named_system_reads_and_needs_published_checkpoints(dataset: Dataset) -> None:
    told = {row["name"]: row for row in describe()}
    assert {"bm25", "ance-firstp", "ance-maxp", "ance-dpr", "dpr", "bm25+dpr", "bm25-bert-rerank", "bm25-ance-rerank"} <= told.keys()
    for name in SYSTEMS:
        if name != "bm25-rm3":
            with pytest.raises(ModelError) as caught:
                systems.get(name, dataset, device="cpu")
            missing = str(caught.value).split("'")[1]
            assert missing in told[name]["needs"]


@pytest.mark.parametrize(
    ("documents", "answers", "kind"),
    [
        ([{"docno": "1", "text": "a b"}], False, "passages"),
        ([{"docno": "1", "text": "a " * 300}], False, "documents"),
        ([{"docno": "1", "text": "a", "url": "http://x"}], False, "passages"),
        ([{"docno": "1", "text": "a " * 300}], True, "open QA"),
    ],
)
def test_the_checkpoint_for_a_collection(
    documents: list[dict[str, str]], answers: bool, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_collection(tmp_path / "c", documents)
    if answers:
        (tmp_path / "c" / "answers.jsonl").write_text(json.dumps({"qid": "q1", "question": "who", "answers": ["a"]}) + "\n")
    assert collection_of(load_dataset(tmp_path / "c")) == kind
    ance = KIND.words["ance"]
    expected = ance.checkpoints[kind]  # type: ignore[index]
    assert checkpoint_for("ance", ance, load_dataset(tmp_path / "c")) == expected
    assert expected in caplog.text, "what is assumed is said"
    for name in ("trec-covid", "msmarco-document"):
        (tmp_path / "c").rename(tmp_path / name)
        known = load_dataset(tmp_path / name)
        (tmp_path / name).rename(tmp_path / "c")
        caplog.clear()
        assert checkpoint_for("ance", ance, known) == ance.checkpoints["passages" if name == "trec-covid" else "documents"]
        assert not caplog.records


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("beir/trec-covid", "passages"),
        ("beir/nfcorpus/test", "passages"),
        ("beir/hotpotqa/dev", "passages"),
        ("msmarco-document/trec-dl-2019/judged", "documents"),
        ("trec-dl-2020/document", "documents"),
        ("msmarco-passage/dev/small", "passages"),
        ("trec-dl-2019", "passages"),
        ("dpr-w100/natural-questions/dev", "open QA"),
    ],
)
def test_the_kind_of_a_collection_that_is_known(name: str, kind: str) -> None:
    assert collection_of(load_dataset(name)) == kind


def test_a_folder_never_hides_a_name(folder: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink(folder / "x.ance", tmp_path / "ance")
    os.symlink(folder / "x.ance", tmp_path / "bm25")
    assert systems.get("./ance", dataset, device="cpu").index == AnceIndex(folder / "x.ance")
    assert isinstance(systems.get("bm25", dataset).index, BM25Index)
    for name in ("ance", "ance-firstp"):
        with pytest.raises(ModelError, match="castorini/ance-msmarco-passage"):
            systems.get(name, dataset)


MINE = """
import pyterrier as pt

def pipelines(dataset):
    first = pt.apply.generic(lambda queries: queries.merge(dataset.qrels()).assign(score=1.0, rank=0))
    return {"known": first, "known + one": first >> pt.apply.doc_score(lambda row: row["score"] + 1)}
"""


def test_pipelines_of_ones_own(dataset: Dataset, tmp_path: Path, parts: Part) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    own = load_pipelines(tmp_path / "mine.py", dataset)
    assert list(own) == ["known", "known + one"]
    parser = Systems(dataset, device="cpu", pipelines=own)
    found = parser.parse("known + one % 1 >> x.ance")[1](dataset.queries())
    assert found["docno"].tolist() == ["d1", "d2"]
    assert len(parser.parse("rrf(known, bm25)")[1](dataset.queries())) > 2
    with pytest.raises(UsageError, match=r"known.*options"):
        parser.parse("known[k1=1]")
    with pytest.raises(UsageError, match="'knowm'"):
        parser.parse("knowm")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", r"mine\.py defines no function pipelines\(dataset\)"),
        ("pipelines = 1", "defines no function"),
        ("def pipelines(:", r"mine\.py, line 1: SyntaxError"),
        ("x = 1\nimport no_such_module", r"mine\.py, line 2: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def pipelines():\n    pass", "TypeError: pipelines"),
        ("def pipelines(dataset):\n    return [1]", r"returns a dictionary of pipelines by name, not a list"),
        ("def pipelines(dataset):\n    x = {}\n    return x['a']", r"line 3: KeyError: 'a'"),
        ("def pipelines(dataset):\n    return {'a': 1}", "mine.py.* a .*an int"),
        ("import pyterrier as pt\ndef pipelines(dataset):\n    return {'a': pt.Transformer}", "not the class Transformer"),
        ("def pipelines(dataset):\n    return {1: 1}", "mine.py.* 1$"),
        ("import pyterrier as pt\ndef pipelines(dataset):\n    return {'BM25': pt.Transformer.identity()}", "the name BM25 is taken"),
        ("import pyterrier as pt\ndef pipelines(dataset):\n    return {'bm25+dpr': pt.Transformer.identity()}", "is taken"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_file_that_gives_no_pipelines(code: str, message: str, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(UsageError, match=message):
        load_pipelines(tmp_path / "mine.py", dataset)


@pytest.mark.parametrize("name", FEEDBACKS)
def test_every_feedback_stands_between_two_retrievals(name: str, dataset: Dataset) -> None:
    values = ",".join(["2", *(["0.5"] * (len(FEEDBACKS[name].parameters) - 1))])
    for options in (name, f"{name}:{values}", f"{name.upper()} : {values}"):
        system = Systems(dataset, device="cpu").parse(f"x.ance[prf={options}]")[1]
        feedback = next(stage for stage in system if isinstance(stage, FEEDBACKS[name]))
        assert feedback.depth == (2 if ":" in options else FEEDBACKS[name](feedback.index).depth)
        assert len(system(dataset.queries()))
    for wrong in (f"{name}:", f"{name}:0", f"{name}:{values},1", f"{name}:x"):
        with pytest.raises(PointedError, match=name):
            Systems(dataset, device="cpu").parse(f"x.ance[prf={wrong}]")


@pytest.mark.parametrize("name", FUSIONS)
def test_every_fusion_is_a_function_of_systems(name: str, dataset: Dataset) -> None:
    system = Systems(dataset, device="cpu", num_results=3).parse(f"{name}(bm25, x.ance)")[1]
    assert isinstance(system, Fusion)
    assert system.num_results == 3
    assert len(system(dataset.queries()))
