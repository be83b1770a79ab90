"""PyTerrier's own transformers over real Terrier, alone and in pipelines with ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pandas as pd
import pyterrier as pt
import pytest
from ir_measures import AP, nDCG

from ance_ir import DenseEncoder, load_dataset
from ance_ir.datasets import Dataset
from ance_ir.datasets.part import Part
from ance_ir.eval.bench.rounds import alternate, medians, ratio
from ance_ir.indexes import AnceIndex
from ance_ir.java import start_java
from ance_ir.pipelines import RM3, BertReranker, BM25Index, ReciprocalRankFusion, Systems, WeightedSum
from tests.engines import missing
from tests.tiny import WORDS, cross_encoder, encoder

pytestmark = [pytest.mark.integration, pytest.mark.skipif(bool(missing("terrier")), reason=missing("terrier"))]

DOCUMENTS = [
    {"docno": f"d{number}", "text": " ".join(np.random.default_rng(number).choice(WORDS, number % 20 + 1))} for number in range(60)
]
QUERIES = pd.DataFrame({"qid": ["q1", "q2", "q3"], "query": ["king queen", "the cat sleeps", "dense retrieval of river"]})


def terriers(folder: Path, documents: Any, **settings: Any) -> Any:
    """Terrier's index of documents."""
    start_java("terrier")
    return pt.terrier.IndexFactory.of(pt.terrier.IterDictIndexer(str(folder), **settings).index(documents))


def terriers_in(index: BM25Index) -> Any:
    """Terrier's index in one of ours."""
    return pt.terrier.IndexFactory.of(str(index.path / "terrier"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Terrier's index, which keeps the texts."""
    return terriers(tmp_path_factory.mktemp("terrier") / "own", DOCUMENTS, meta={"docno": 20, "text": 4096})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("dataset")
    pd.DataFrame(DOCUMENTS).to_json(folder / "corpus.jsonl", orient="records", lines=True)
    return load_dataset(folder)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> AnceIndex:
    model = encoder(head=8)
    built: AnceIndex = (model.passages() >> AnceIndex(tmp_path_factory.mktemp("ance") / "x.ance")).index(iter(DOCUMENTS))
    return built


def measured(systems: dict[str, pt.Transformer], queries: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, list[float]]:
    judged = qrels.rename(columns={"qid": "query_id", "docno": "doc_id", "label": "relevance"})
    found = {}
    for name, system in systems.items():
        values = ir_measures.calc_aggregate([AP, nDCG @ 10], judged, system(queries).rename(columns={"qid": "query_id", "docno": "doc_id"}))
        found[name] = [values[AP], values[nDCG @ 10]]
    return found


@pytest.fixture(scope="module")
def vaswani(data_dir: Path) -> Dataset:
    return load_dataset(str(data_dir / "vaswani"))


@pytest.fixture(scope="module")
def ours(vaswani: Dataset, tmp_path_factory: pytest.TempPathFactory) -> BM25Index:
    return BM25Index(tmp_path_factory.mktemp("vaswani") / "ours", engine="terrier").index(vaswani.documents())


def lower(dataset: Dataset) -> pd.DataFrame:
    """Its queries as PyTerrier's retriever wants them: it looks words up as they are written."""
    return dataset.queries().assign(query=lambda frame: frame["query"].str.lower())


@pytest.mark.slow
def test_terriers_systems_have_the_figures_that_they_have_elsewhere(tmp_path: Path, vaswani: Dataset, ours: BM25Index) -> None:
    queries, own = lower(vaswani), terriers(tmp_path / "own", vaswani.documents())
    bm25, pl2, dph = (pt.terrier.Retriever(own, wmodel=name) for name in ("BM25", "PL2", "DPH"))
    systems = {
        "BM25": bm25,
        "PL2": pl2,
        "DPH": dph,
        "RM3": bm25 >> pt.rewrite.RM3(own) >> bm25,
        "Bo1": bm25 >> pt.rewrite.Bo1QueryExpansion(own) >> bm25,
        "KL": bm25 >> pt.rewrite.KLQueryExpansion(own) >> bm25,
        "our BM25": ours.retriever(k1=1.2, b=0.75),
        "our RM3": ours.retriever(k1=1.2, b=0.75, rm3=RM3(3, 10, 0.6)),
    }
    found = measured(systems, queries, vaswani.qrels())
    expected = {"BM25": [0.2965, 0.4466], "PL2": [0.2763, 0.4245], "DPH": [0.2836, 0.4350]}
    expected |= {"RM3": [0.2984, 0.4451], "Bo1": [0.3046, 0.4522], "KL": [0.3025, 0.4474]}
    print(pd.DataFrame(found).T.round(4).to_string())
    for name, values in (expected | {"our BM25": expected["BM25"], "our RM3": expected["RM3"]}).items():
        assert found[name] == pytest.approx(values, abs=2e-4), name


@pytest.mark.slow
def test_a_query_takes_as_long_as_with_pyterriers_own_retriever(vaswani: Dataset, ours: BM25Index) -> None:
    queries = lower(vaswani)
    own = pt.terrier.Retriever(terriers_in(ours), wmodel="BM25", controls={"bm25.k_1": 0.9, "bm25.b": 0.4})
    alone = [queries.iloc[place : place + 1] for place in range(0, len(queries), 4)]
    retriever = ours.retriever()
    seconds = alternate(
        {
            "ours, one query": lambda: [retriever(query) for query in alone],
            "own, one query": lambda: [own(query) for query in alone],
            "ours, together": lambda: retriever(queries),
            "own, together": lambda: own(queries),
        },
        rounds=3,
    )
    counts = {"one query": len(alone), "together": len(queries)}
    for how, count in counts.items():
        ratios = ratio(seconds, f"ours, {how}", f"own, {how}")
        each = {whose: 1000 * medians(seconds)[f"{whose}, {how}"] / count for whose in ("ours", "own")}
        print(f"{how}: ours {each['ours']:.2f} ms a query, PyTerrier's {each['own']:.2f} ms, ratio {ratios:.3f}")
        assert ratios < 1.1


def test_our_scorer_reads_what_terrier_found(own: Any, index: AnceIndex, dataset: Dataset) -> None:
    dph, model = pt.terrier.Retriever(own, wmodel="DPH", num_results=20), encoder(head=8)
    found = (dph % 10 >> index.scorer(model))(QUERIES)
    assert len(found)
    best = index.retriever(model)(QUERIES).set_index(["qid", "docno"])["score"]
    assert found["score"].tolist() == pytest.approx([best[pair] for pair in zip(found["qid"], found["docno"], strict=True)], rel=1e-4)
    named = Systems(dataset, pipelines={"dph": dph, "ours": index.scorer(model)}).parse("dph % 10 >> ours")[1](QUERIES)
    pd.testing.assert_frame_equal(found[["qid", "docno", "rank"]], named[["qid", "docno", "rank"]])


@pytest.mark.parametrize("fuse", [ReciprocalRankFusion, WeightedSum])
def test_our_fusions_take_terriers_retrievers(own: Any, index: AnceIndex, fuse: Any) -> None:
    systems = [pt.terrier.Retriever(own, wmodel="PL2"), index.retriever(encoder(head=8), 10)]
    found = fuse(*systems, num_results=100)(QUERIES)
    each = [system(QUERIES) for system in systems]
    assert {*found["docno"]} == {*each[0]["docno"], *each[1]["docno"]}
    qrels = pd.DataFrame({"qid": QUERIES["qid"], "docno": ["d1", "d2", "d3"], "label": 1})
    table = pt.Experiment(
        {"fused": fuse(*systems), "pl2": systems[0]}, QUERIES, qrels, ["ndcg", "num_ret"], plan="tree", validate="error", verbose=False
    )
    assert table["num_ret"].tolist()[0] >= table["num_ret"].tolist()[1]


def test_rerankers_read_the_texts_that_terriers_index_keeps(own: Any, dataset: Dataset) -> None:
    bm25, bert = pt.terrier.Retriever(own, wmodel="BM25", num_results=5), BertReranker(cross_encoder())
    found = (bm25 >> own.text_loader(["text"]) >> bert)(QUERIES)
    expected = (bm25 >> dataset.text_loader("text") >> bert)(QUERIES)
    assert len(found)
    pd.testing.assert_frame_equal(found[["qid", "docno", "text", "score", "rank"]], expected[["qid", "docno", "text", "score", "rank"]])


def test_a_feature_beside_terriers_is_our_score(own: Any, index: AnceIndex) -> None:
    features = pt.terrier.FeaturesRetriever(own, ["WMODEL:PL2", "WMODEL:DPH"], wmodel="BM25", num_results=10)
    scorer = index.scorer(encoder(head=8))
    candidates = pt.terrier.Retriever(own, wmodel="BM25", num_results=10)
    found = (candidates >> (pt.terrier.FeaturesRetriever(own, ["WMODEL:PL2", "WMODEL:DPH"]) ** scorer))(QUERIES)
    pairs = found.set_index(["qid", "docno"])["features"]
    of_terrier = features(QUERIES).set_index(["qid", "docno"])["features"]
    ours = scorer(candidates(QUERIES)).set_index(["qid", "docno"])["score"]
    assert len(pairs) == len(ours)
    for pair, values in pairs.items():
        assert values.tolist() == pytest.approx([*of_terrier[pair], ours[pair]], rel=1e-5)


@pytest.mark.slow
def test_a_learned_combination_is_better_than_its_first_stage(tmp_path: Path, data_dir: Path) -> None:
    """By a forest of scikit-learn, and by LambdaMART of LightGBM."""
    from sklearn.ensemble import RandomForestRegressor

    lightgbm = pytest.importorskip("lightgbm")
    vaswani = Part(load_dataset(str(data_dir / "vaswani")), ("test:60",), 2000)
    queries, own = lower(vaswani), terriers(tmp_path / "own", vaswani.documents())
    model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu")
    index: AnceIndex = (model.passages() >> AnceIndex(tmp_path / "x.ance")).index(vaswani.documents())
    bm25 = pt.terrier.Retriever(own, wmodel="BM25", num_results=50)
    features = bm25 >> (pt.terrier.FeaturesRetriever(own, ["SAMPLE", "WMODEL:PL2", "WMODEL:DPH"]) ** index.scorer(model))
    forest = features >> pt.ltr.apply_learned_model(RandomForestRegressor(200, min_samples_leaf=5, random_state=0))
    trees: dict[str, Any] = {"n_estimators": 60, "num_leaves": 7, "min_child_samples": 20, "learning_rate": 0.05}
    repeatable: dict[str, Any] = {"random_state": 0, "deterministic": True, "force_row_wise": True, "n_jobs": 1, "verbose": -1}
    ranker = lightgbm.LGBMRanker(objective="lambdarank", **trees, **repeatable)
    lambda_mart = features >> pt.ltr.apply_learned_model(ranker, form="ltr")
    first, second = queries.iloc[:30], queries.iloc[30:]
    forest.fit(first, vaswani.qrels())
    lambda_mart.fit(first, vaswani.qrels(), first, vaswani.qrels())  # to be validated on is asked for, but nothing stops early
    found = measured({"BM25": bm25, "forest": forest, "LambdaMART": lambda_mart}, second, vaswani.qrels())
    print(pd.DataFrame(found).T.round(4).to_string())
    for name in ("forest", "LambdaMART"):
        assert all(learned > first for learned, first in zip(found[name], found["BM25"], strict=True)), name
