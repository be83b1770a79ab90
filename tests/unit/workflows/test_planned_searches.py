"""What searching takes by its options, and what pipelines take, stage by stage: counts made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyterrier as pt
import pytest

from ance_ir import load_dataset
from ance_ir.datasets import Dataset
from ance_ir.indexes import AnceIndex, FirstP, MaxP, index_corpus
from ance_ir.models.dense.size import Size
from ance_ir.pipelines import AveragePRF, BertReranker, BM25Index, ReciprocalRankFusion, WithoutItself
from ance_ir.workflows.planning.estimates import estimate_evaluation, estimate_mining
from ance_ir.workflows.planning.machine import Machine
from ance_ir.workflows.planning.pipelines import Flow, Work
from ance_ir.workflows.planning.searching import Searched, total
from tests.tiny import WORDS, cross_encoder, encoder

QUERIES = [f"the {word}" for word in WORDS[:8]]
DOCUMENTS = 30


def faiss(backend: str, rows: int = 10_000) -> Searched:
    return Searched(rows=rows, dimension=16, backend=backend)


def test_options_of_a_family_decide_what_a_search_takes() -> None:
    def scanned(options: str) -> float:
        return faiss(f"ivf50{options}").searching(3, 10)["faiss.scan"]

    assert scanned(",nprobe=5") == 3 * 16 * (50 + 10_000 * 5 / 50)
    assert scanned("") == scanned(",nprobe=32") < scanned(",nprobe=50") == scanned(",nprobe=99"), "there are no more lists"

    def held(options: str, results: int = 10) -> float:
        return faiss(f"hnsw+sq8{options}").searching(3, results)["faiss.hnsw_query"]

    assert held("") == held(",efSearch=194") > held(",efSearch=128")
    assert held(",efSearch=8", 1000) == held(",efSearch=2000"), "as many as are scored again are held"
    assert held(",efSearch=8,rescore=0", 1000) == held(",efSearch=1000")


@pytest.mark.parametrize(("held", "rows", "compared"), [(100, 5000, 1977), (200, 10_000, 3878), (400, 20_000, 7596), (100, 40_000, 3441)])
def test_a_graph_compares_as_many_vectors_as_faiss_counts(held: int, rows: int, compared: int) -> None:
    """Faiss's own counts (``hnsw_stats.ndis``), means of 200 queries, in graphs over vectors of 384 dimensions; once, 2026-11-27."""
    found = faiss(f"hnsw+sq8,efSearch={held},rescore=0", rows).searching(1, 10)["faiss.hnsw_query"] / 16
    assert found == pytest.approx(compared, rel=0.05)
    assert faiss("hnsw", 50).searching(1, 10)["faiss.hnsw_query"] == 50 * 16, "there are no more"


def test_a_graph_takes_to_build_what_all_its_searches_take_while_it_grows() -> None:
    grown = [faiss("hnsw,efSearch=100", rows).searching(1, 10)["faiss.hnsw_query"] for rows in range(1, 10_001, 50)]
    assert faiss("hnsw").building["faiss.hnsw"] / 10_000 == pytest.approx(sum(grown) / len(grown), rel=0.05)


def test_what_is_scored_again_is_counted() -> None:
    assert faiss("hnsw+sq8").searching(3, 10)["search.pair"] == 3 * 100 * 16
    assert faiss("ivf+pq").searching(3, 1000)["search.pair"] == 3 * 5000 * 16
    assert faiss("ivf+pq", rows=2000).searching(3, 1000)["search.pair"] == 3 * 2000 * 16
    assert faiss("hnsw+sq8,rescore=700").searching(3, 10)["search.pair"] == 3 * 700 * 16
    assert "search.pair" not in faiss("hnsw").searching(3, 10)


def test_options_of_a_family_decide_what_building_takes() -> None:
    usual, fewer = (faiss(f"hnsw{options}").building["faiss.hnsw"] for options in ("", ",efConstruction=40"))
    assert 0.4 * usual < fewer < 0.6 * usual, "a few candidates go further"
    few, many = (faiss(f"ivf{lists}").building["faiss.ivf"] for lists in (10, 40))
    assert many == 4 * few, "all vectors are the sample"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A dataset, its indexes, and a model with its size."""
    folder, model = tmp_path_factory.mktemp("made"), encoder()
    (folder / "d").mkdir()
    texts = [" ".join(WORDS[number : number + 1 + number % 5]) for number in range(DOCUMENTS)]
    (folder / "d" / "corpus.jsonl").write_text("".join(f'{{"docno": "d{n}", "text": "{text}"}}\n' for n, text in enumerate(texts)))
    dataset = load_dataset(folder / "d")
    bm25 = BM25Index(folder / "x.bm25")
    bm25.index(iter(dataset.store()))
    dense = {name: index_corpus(folder / name, model, dataset.store(), passages) for name, passages in PASSAGES.items()}
    return {"dataset": dataset, "bm25": bm25, "model": model, **dense}


PASSAGES = {"firstp": FirstP(), "maxp": MaxP(4, 3)}


def work(pipeline: pt.Transformer) -> tuple[dict[str, float], float]:
    """Units of each kind, and documents found for each query."""
    done = Work()
    flow = done.through(pipeline, Flow.of(QUERIES))
    return dict(total(done.once, done.counts)), flow.found


def test_bm25_and_cuts(made: dict[str, Any]) -> None:
    counts, found = work(made["bm25"].retriever(12) % 5)
    assert (counts, found) == ({"bm25.query": 8, "bm25.query_document": 8 * DOCUMENTS}, 5)
    assert work(made["bm25"].retriever(1000))[1] == DOCUMENTS


def dense(made: dict[str, Any], count: int, rows: int, fetched: int) -> dict[str, float]:
    """Exact search with all queries, once they are encoded."""
    model = made["model"]
    lengths = [len(ids) for ids in model.tokenizer.queries(QUERIES)]
    return {
        "encoding.token": sum(lengths),
        "encoding.passage": 8,
        "encoding.operation": Size.of(model.query_tower).operations(lengths),
        "search.component": count * rows * model.dimension,
        "search.product": count * 8 * rows * model.dimension,
        "search.result": count * 8 * fetched,
    }


def test_a_dense_index_of_documents_and_of_passages(made: dict[str, Any]) -> None:
    assert work(made["firstp"].retriever(made["model"], 7)) == (dense(made, 1, DOCUMENTS, 7), 7)
    rows = len(made["maxp"].vectors)
    assert rows > DOCUMENTS
    assert work(made["maxp"].retriever(made["model"], 7)) == (dense(made, 1, rows, 14), 7), "passages of twice as many documents"


def test_scoring_what_another_stage_found(made: dict[str, Any]) -> None:
    counts, found = work(made["bm25"].retriever(12) >> made["maxp"].scorer(made["model"]))
    assert found == 12
    assert counts["search.pair"] == pytest.approx(8 * 12 * len(made["maxp"].vectors) / DOCUMENTS * made["model"].dimension)
    assert counts["encoding.passage"] == 8


def test_feedback_searches_twice_and_encodes_once(made: dict[str, Any]) -> None:
    retriever = made["firstp"].retriever(made["model"], 7)
    counts, found = work(made["model"].queries() >> retriever % 3 >> AveragePRF(made["firstp"], 3) >> retriever)
    assert found == 7
    assert counts == {**dense(made, 2, DOCUMENTS, 7), "search.result": 8 * (3 + 7), "search.pair": 8 * 3 * made["model"].dimension}


def test_fusions_and_what_is_left_out(made: dict[str, Any]) -> None:
    bm25, retriever = made["bm25"].retriever(12), made["firstp"].retriever(made["model"], 7)
    counts, found = work(ReciprocalRankFusion(2 * bm25, WithoutItself(retriever, 6), num_results=15))
    assert found == 15
    assert counts == work(bm25)[0] | work(retriever)[0]


def test_a_reranker_reads_pairs(made: dict[str, Any]) -> None:
    model, dataset = cross_encoder(), made["dataset"]
    for pipeline in (
        made["bm25"].retriever(12) >> dataset.text_loader() >> BertReranker(model),
        made["bm25"].retriever(12) >> BertReranker(model, dataset=dataset),
    ):
        counts, found = work(pipeline)
        assert found == 12
        assert counts["encoding.passage"] == 8 * 12
        assert counts["encoding.token"] == pytest.approx(8 * 12 * mean_length(model, dataset), rel=0.05)


def mean_length(model: Any, dataset: Dataset) -> float:
    """Of all pairs of a query and a document."""
    pairs = [(query, document["text"]) for query in QUERIES for document in dataset.store()]
    lengths = [len(pair.ids) for (pair,) in model.tokenizer.pairs(*map(list, zip(*pairs, strict=True)))]
    return sum(lengths) / len(lengths)


def test_a_faiss_file_is_counted_until_it_is_there(made: dict[str, Any], tmp_path: Path) -> None:
    index: AnceIndex = made["firstp"]
    retriever = index.retriever(made["model"], 7, backend="hnsw+sq8,efSearch=9")
    before = work(retriever)[0]
    assert before["faiss.hnsw"] == faiss("hnsw", DOCUMENTS).building["faiss.hnsw"] / 16 * made["model"].dimension
    index.searcher("hnsw+sq8")
    assert work(retriever)[0] == {name: count for name, count in before.items() if name != "faiss.hnsw"}


def test_an_evaluation_is_the_work_of_all_its_systems_and_their_results(made: dict[str, Any]) -> None:
    systems = {"one": made["bm25"].retriever(12), "other": made["firstp"].retriever(made["model"], 7)}
    queries = pd.DataFrame({"qid": map(str, range(8)), "query": QUERIES})
    found = estimate_evaluation(systems, queries)
    assert found is not None
    costs = Machine.find()
    expected = sum(costs.seconds(work(system)[0]) for system in systems.values())
    assert found.seconds == pytest.approx(expected + costs.seconds({"evaluation.result": 8 * 19}))
    unknown = pt.apply.generic(lambda frame: frame)
    assert estimate_evaluation({**systems, "own": made["bm25"].retriever(3) >> unknown}, queries) is None
    assert estimate_evaluation({}, queries) is None


def test_mining_reads_the_vectors_for_as_many_queries_as_are_asked_together(made: dict[str, Any]) -> None:
    retriever = made["firstp"].retriever(made["model"], 7)
    found = [estimate_mining(retriever, 32 * QUERIES, 5, together) for together in (64, 256)]
    assert found[0] is not None and found[1] is not None
    once = Machine.find().seconds({"search.component": DOCUMENTS * made["model"].dimension})
    assert found[0].seconds - found[1].seconds == pytest.approx(3 * once)
    building = made["firstp"].retriever(made["model"], 7, backend="hnsw")
    whole, in_blocks = (estimate_mining(building, 32 * QUERIES, 5, together) for together in (256, 64))
    assert whole is not None and whole == in_blocks, "a Faiss file is built once"
    assert estimate_mining(pt.apply.generic(lambda frame: frame), QUERIES, 5, 64) is None
