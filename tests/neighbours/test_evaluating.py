"""Our parameters in PyTerrier's searches; our runs in ranx, trectools and ir-measures; pyterrier-alpha's measures and fusion, and a service
of pyterrier-services before our reranker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir.eval.runs import write_run
from ance_ir.indexes import AnceIndex
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import AveragePRF, BertReranker, BM25Index, ReciprocalRankFusion, WeightedSum
from tests.neighbours.conftest import needs
from tests.tiny import cross_encoder

pytestmark = pytest.mark.integration

MEASURES = [ir_measures.AP, ir_measures.nDCG @ 10, ir_measures.P @ 5, ir_measures.RR]


@pytest.fixture(scope="module")
def bm25(tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, str]]) -> pt.Transformer:
    """BM25 over the collection."""
    return BM25Index(tmp_path_factory.mktemp("bm25") / "x").index(iter(documents)).retriever(20)


@pytest.fixture
def dense(index: AnceIndex, model: DenseEncoder) -> pt.Transformer:
    """The dense retriever; a new one for each test, since searches for parameters change it."""
    return index.retriever(model, 20)


@pytest.fixture
def run_file(tmp_path: Path, dense: pt.Transformer, queries: pd.DataFrame) -> Path:
    """A run of ours, as ``ance-ir eval`` writes it."""
    write_run(dense(queries), tmp_path / "run.txt", "ours")
    return tmp_path / "run.txt"


@pytest.fixture
def wanted(dense: pt.Transformer, queries: pd.DataFrame, qrels: pd.DataFrame) -> dict[str, float]:
    """The means of the run, as PyTerrier has them."""
    table = pt.Experiment([dense], queries, qrels, MEASURES, names=["ours"])
    return {str(measure): float(table[str(measure)][0]) for measure in MEASURES}


def test_ir_measures(run_file: Path, qrels: pd.DataFrame, wanted: dict[str, float]) -> None:
    judged = qrels.rename(columns={"qid": "query_id", "docno": "doc_id", "label": "relevance"})
    found = ir_measures.calc_aggregate(MEASURES, judged, ir_measures.read_trec_run(str(run_file)))
    assert {str(measure): value for measure, value in found.items()} == pytest.approx(wanted)


def test_ranx(run_file: Path, qrels: pd.DataFrame, dense: pt.Transformer, queries: pd.DataFrame, wanted: dict[str, float]) -> None:
    """The file and the frame; fused by it as by ours."""
    ranx = needs("ranx")
    objects = {"qid": object, "docno": object}  # it refuses pandas 3's strings
    judged = ranx.Qrels.from_df(qrels.astype(objects), q_id_col="qid", doc_id_col="docno", score_col="label")
    names = {"nDCG@10": "ndcg@10", "RR": "mrr"}  # it compiles each measure, which takes long
    columns = {"q_id_col": "qid", "doc_id_col": "docno", "score_col": "score"}
    for run in (ranx.Run.from_file(str(run_file), kind="trec"), ranx.Run.from_df(dense(queries).astype(objects), **columns)):
        found = ranx.evaluate(judged, run, list(names.values()))
        assert {name: found[theirs] for name, theirs in names.items()} == pytest.approx({name: wanted[name] for name in names})


def test_trectools(run_file: Path, tmp_path: Path, qrels: pd.DataFrame, wanted: dict[str, float]) -> None:
    trectools = needs("trectools")
    lines = [f"{qid} 0 {docno} {label}\n" for qid, docno, label in qrels.itertuples(index=False)]
    (tmp_path / "qrels.txt").write_text("".join(lines), encoding="utf-8")
    judged = trectools.TrecEval(trectools.TrecRun(str(run_file)), trectools.TrecQrel(str(tmp_path / "qrels.txt")))
    found = {
        "AP": judged.get_map(),
        "nDCG@10": judged.get_ndcg(depth=10),
        "P@5": judged.get_precision(depth=5),
        "RR": judged.get_reciprocal_rank(),
    }
    assert found == pytest.approx(wanted, abs=1e-4)


def test_grid_search_and_folds(bm25: pt.Transformer, dense: pt.Transformer, queries: pd.DataFrame, qrels: pd.DataFrame) -> None:
    """Weights, depths and feedback of ours are found by PyTerrier's searches, which put the parameters back."""
    fused = WeightedSum(bm25, dense, weights=(0.5, 0.5))
    grid = {"weights": [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)]}
    values = pt.GridScan(fused, {fused: grid}, queries, qrels, ["map"])
    fused.weights = (0.5, 0.5)  # it leaves the last
    best, _ = pt.GridSearch(fused, {fused: grid}, queries, qrels, "map", return_type="best_setting")
    assert best == pytest.approx(values["map"].max())
    assert values["map"].nunique() > 1
    assert tuple(fused.weights) == (0.5, 0.5)
    found, settings = pt.KFoldGridSearch(fused, {fused: grid}, [queries[:2], queries[2:]], qrels, "map")
    assert set(found["qid"]) == set(queries["qid"])
    assert len(settings) == 2


def test_feedback_and_depth_are_parameters(
    index: AnceIndex, model: DenseEncoder, dense: pt.Transformer, queries: pd.DataFrame, qrels: pd.DataFrame
) -> None:
    feedback = AveragePRF(index, 3, model=model)
    pipeline = dense >> feedback >> dense
    found = pt.GridScan(pipeline, {feedback: {"depth": [1, 3, 5]}, dense: {"num_results": [5, 20]}}, queries, qrels, ["map"])
    assert len(found) == 6
    assert found["map"].nunique() > 3


def test_alpha(bm25: pt.Transformer, dense: pt.Transformer, queries: pd.DataFrame, qrels: pd.DataFrame) -> None:
    """Its fusion gives the scores of ours, its k one more, since its ranks count from 0; its overlap of rankings measures our systems."""
    alpha = needs("pyterrier_alpha")
    theirs, ours = alpha.RRFusion(bm25, dense, k=60)(queries), ReciprocalRankFusion(bm25, dense, k=59)(queries)
    both = theirs.merge(ours, on=["qid", "docno"])
    assert len(both) == len(theirs) == len(ours)
    assert both["score_x"].to_list() == pytest.approx(both["score_y"].to_list())
    overlap = alpha.RBO(dense(queries), p=0.9)
    table = pt.Experiment([dense, bm25], queries, qrels, [overlap], names=["itself", "bm25"])
    weights, depths = 0.9 ** np.arange(1000), np.arange(1000) + 1
    assert table[str(overlap)][0] == pytest.approx((weights * np.minimum(1, 20 / depths)).sum() / weights.sum())
    assert table[str(overlap)][1] < table[str(overlap)][0] - 0.1


def test_a_service_before_our_reranker(queries: pd.DataFrame) -> None:
    """Semantic Scholar's retriever, its answers made here: its titles are what our reranker reads."""
    services = needs("pyterrier_services")

    class Offline(services.SemanticScholarApi):  # type: ignore[misc]
        def search(self, query: str, *, offset: int = 0, limit: int = 100, return_next: bool = False, **_: Any) -> Any:
            words = query.split()[offset : offset + min(limit, 2)]
            found = pd.DataFrame({"docno": words, "title": words, "rank": range(offset, offset + len(words))})
            found["score"] = -found["rank"]
            return (found, offset + 2 if len(query.split()) > offset + 2 else None) if return_next else found

    service = Offline().retriever(num_results=3, fields=["title"], verbose=False)
    pipeline = service >> pt.apply.text(lambda row: row["title"]) >> BertReranker(cross_encoder())
    found = pipeline(queries)
    assert found.groupby("qid").size().to_list() == [2, 3, 3, 2]
    for _, ranking in found.groupby("qid"):
        assert ranking["score"].is_monotonic_decreasing
        assert ranking["rank"].to_list() == list(range(len(ranking)))
