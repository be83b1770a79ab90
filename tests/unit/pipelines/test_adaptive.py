"""Adaptive retrieval: each kind against what its authors write, in a few lines of Python over docnos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ance_ir.errors import DocumentNotFoundError
from ance_ir.indexes import AnceIndex, MaxP
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import GAR, LADR, AdaptiveLADR
from ance_ir.pipelines.adaptive import ADAPTIVES
from tests.tiny import WORDS, encoder

pytest.importorskip("pyterrier_adaptive", reason="pyterrier-adaptive is not installed: pip install 'ance_ir[adaptive]'")

NEIGHBOURS = 3
DOCUMENTS = [
    {"docno": f"d{number}", "text": " ".join(np.random.default_rng(number).choice(WORDS, number % 20 + 1))} for number in range(80)
]
GONE = ["d0", "d13", "d79"]
QUERIES = {"q1": "king queen", "q9": "the cat sleeps", "q3": "dense retrieval"}
FOUND = [("q1", "d5"), ("q9", "d1"), ("q1", "d6"), ("q1", "d70"), ("q9", "d2"), ("q3", "d40"), ("q1", "d5"), ("q1", "d41"), ("q1", "d8")]
"""Of a first stage; one pair comes twice."""

Score = Callable[[str], float]


@pytest.fixture(scope="module")
def model() -> DenseEncoder:
    return encoder(head=8)


@pytest.fixture(scope="module")
def index(model: DenseEncoder, tmp_path_factory: pytest.TempPathFactory) -> AnceIndex:
    """Of passages, with deleted documents."""
    made: AnceIndex = (MaxP(8, 3) >> model.passages() >> AnceIndex(tmp_path_factory.mktemp("adaptive") / "x.ance")).index(DOCUMENTS)
    made.delete(GONE)
    return made


@pytest.fixture
def results() -> pd.DataFrame:
    scores = np.arange(len(FOUND), 0.0, -1)
    return pd.DataFrame(FOUND, columns=["qid", "docno"]).assign(query=lambda frame: frame["qid"].map(QUERIES), score=scores)


def ladr(seeds: list[str], neighbours: Callable[[str], list[str]], score: Score, hops: int) -> set[str]:
    found = set(seeds)
    for _ in range(hops):
        found |= {other for one in found for other in neighbours(one)}
    return found


def adaptive_ladr(seeds: list[str], neighbours: Callable[[str], list[str]], score: Score, depth: int) -> set[str]:
    found = set(seeds)
    while True:
        best = sorted(found, key=lambda one: (score(one), one), reverse=True)[:depth]
        more = found | {other for one in best for other in neighbours(one)}
        if more == found:
            return found
        found = more


def gar(seeds: list[str], neighbours: Callable[[str], list[str]], score: Score, budget: int) -> set[str]:
    """With batches of one document."""
    found: list[str] = []
    waiting, frontier, following = [*seeds], list[str](), list[str]()
    turn = 0
    while len(found) < budget and (waiting or frontier or following):
        one = None
        if turn % 2 == 0:
            while waiting and (one is None or one in found):
                one = waiting.pop(0)
        else:
            while one is None and (frontier or following):
                if following:
                    one = following.pop(0)
                else:
                    best = max(frontier, key=lambda one: (score(one), one))
                    frontier.remove(best)
                    following += [other for other in neighbours(best) if other not in found]
        if one is not None:
            frontier.append(one)
            found += [one] if one not in found else []
        turn += 1
    return set(found)


WAYS = [
    (lambda *of, value: LADR(*of, neighbours=NEIGHBOURS, hops=value), ladr, 1),
    (lambda *of, value: LADR(*of, neighbours=NEIGHBOURS, hops=value), ladr, 3),
    (lambda *of, value: AdaptiveLADR(*of, neighbours=NEIGHBOURS, depth=value), adaptive_ladr, 1),
    (lambda *of, value: AdaptiveLADR(*of, neighbours=NEIGHBOURS, depth=value), adaptive_ladr, 5),
    (lambda *of, value: GAR(*of, neighbours=NEIGHBOURS, budget=value, batch_size=1), gar, 1),
    (lambda *of, value: GAR(*of, neighbours=NEIGHBOURS, budget=value, batch_size=1), gar, 12),
    (lambda *of, value: GAR(*of, neighbours=NEIGHBOURS, budget=value, batch_size=1), gar, 500),
]


@pytest.mark.parametrize(("make", "find", "value"), WAYS)
def test_it_finds_what_its_authors_say(
    make: Callable[..., Any], find: Callable[..., set[str]], value: int, index: AnceIndex, model: DenseEncoder, results: pd.DataFrame
) -> None:
    graph = index.corpus_graph(NEIGHBOURS)
    found = make(index, model, value=value)(results.sample(frac=1, random_state=3))
    all_scores = index.scorer(model)(
        pd.DataFrame({"docno": index.docnos(index.numbers([d["docno"] for d in DOCUMENTS if d["docno"] not in GONE]))}).merge(
            results[["qid", "query"]].drop_duplicates(), how="cross"
        )
    )
    assert set(found["qid"]) == set(QUERIES)
    for qid, ranked in found.groupby("qid"):
        scores = all_scores[all_scores["qid"] == qid].set_index("docno")["score"]
        seeds = results[results["qid"] == qid]["docno"].drop_duplicates().tolist()
        expected = find(seeds, lambda docno: graph.neighbours(docno).tolist(), scores.get, value)
        assert ranked["docno"].tolist() == sorted(expected, key=lambda docno: (scores[docno], docno), reverse=True)
        assert ranked["score"].tolist() == scores[ranked["docno"]].tolist()


@pytest.mark.parametrize(("make", "find", "value"), WAYS)
def test_equal_scores_are_ordered_by_docno_at_every_choice(
    make: Callable[..., Any], find: Callable[..., set[str]], value: int, model: DenseEncoder, tmp_path: Path
) -> None:
    # six vectors of seven documents each, which score in four ways
    vectors = np.repeat(np.eye(8, dtype=np.float32)[:3], 14, axis=0) + np.tile(np.eye(8, dtype=np.float32)[3:5] / 8, (21, 1))
    docnos = [f"d{number:02d}" for number in np.random.default_rng(0).permutation(len(vectors))]
    index = AnceIndex(tmp_path / "x.ance").index({"docno": docno, "doc_vec": vec} for docno, vec in zip(docnos, vectors, strict=True))
    query = np.array([0.5, 0.5, 0.25, 1, 0, 0, 0, 0], dtype=np.float32)
    scores = dict(zip(docnos, (vectors @ query).tolist(), strict=True))
    assert len(set(scores.values())) == 4
    seeds = docnos[::9]
    asked = pd.DataFrame(
        {"qid": "q", "query": "", "docno": seeds, "score": np.arange(len(seeds), 0.0, -1), "query_vec": [query] * len(seeds)}
    )
    found = make(index, model, value=value)(asked)
    graph = index.corpus_graph(NEIGHBOURS)
    expected = find(seeds, lambda docno: graph.neighbours(docno).tolist(), scores.__getitem__, value)
    assert found["docno"].tolist() == sorted(expected, key=lambda docno: (scores[docno], docno), reverse=True)


@pytest.mark.parametrize("kind", ADAPTIVES)
def test_a_cutoff_cuts_the_results_and_not_the_search(kind: str, index: AnceIndex, model: DenseEncoder, results: pd.DataFrame) -> None:
    retriever = ADAPTIVES[kind](index, model, neighbours=NEIGHBOURS)
    full = retriever(results)
    assert full.groupby("qid").size().min() > 3
    for cut in (retriever % 3, (retriever % 3).compile()):
        pd.testing.assert_frame_equal(cut(results), full[full["rank"] < 3].reset_index(drop=True))


def test_a_document_that_the_index_does_not_hold_is_named(index: AnceIndex, model: DenseEncoder, results: pd.DataFrame) -> None:
    with pytest.raises(DocumentNotFoundError, match="d13"):
        LADR(index, model, neighbours=NEIGHBOURS)(results.assign(docno="d13"))


def test_the_index_that_takes_its_place_is_searched_with_its_own_graph(
    index: AnceIndex, model: DenseEncoder, results: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = AdaptiveLADR(index.save(tmp_path / "y.ance"), model, neighbours=NEIGHBOURS)
    best = retriever(results)["docno"].iloc[0]
    AnceIndex(tmp_path / "y.ance").delete([best])
    now, kept = AnceIndex(tmp_path / "y.ance"), results[results["docno"] != best]
    retriever.prepare(now)
    monkeypatch.setattr("ance_ir.indexes.graph.opening.build_graph", None)
    assert best in set(retriever(kept)["docno"]), "until it is there, the state that was opened is searched"
    retriever.index = now
    assert best not in set(retriever(kept)["docno"])


def test_an_index_of_deleted_documents_is_prepared(model: DenseEncoder, tmp_path: Path, results: pd.DataFrame) -> None:
    made = (model.passages() >> AnceIndex(tmp_path / "x.ance")).index(DOCUMENTS[:3])
    full = AnceIndex(made.folder)
    assert len(full) == 3, "it is opened"
    made.delete(["d0", "d1", "d2"])
    for stage, emptied in ((LADR(made, model), None), (LADR(full, model), made)):
        stage.prepare(emptied)
    assert LADR(made, model).transform(results[:0]).empty
    with pytest.raises(DocumentNotFoundError):
        LADR(made, model).transform(results)
