"""Hard negatives for training elsewhere: none of them a positive, drawn and filtered as was said, the same after an interruption."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyterrier as pt
import pytest

from ance_ir import load_dataset
from ance_ir.datasets import Dataset
from ance_ir.datasets.instances import TrainingRecord
from ance_ir.errors import TrainingError, UsageError
from ance_ir.eval.runs import read_run
from ance_ir.indexes import AnceIndex, MaxP
from ance_ir.indexes.mining import Filters
from ance_ir.indexes.mining.allowed import DenseRanker
from ance_ir.models import DenseEncoder
from ance_ir.pipelines import Systems
from ance_ir.training import TrainingQueries
from ance_ir.workflows import HardNegatives, MinedRecords, mine_negatives, write_negatives
from ance_ir.workflows.hard_negatives import mine
from ance_ir.workflows.hard_negatives.rankers import ranker_of
from tests.tiny import WORDS, cross_encoder, encoder

NOUNS, VERBS, COLOURS = WORDS[21:27], ("runs", "sleeps", "sings", "swims"), ("red", "green", "blue", "small")


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 documents and 20 queries with two positives each, of which the first has a twin; a query asks with a noun and a verb."""
    folder = tmp_path_factory.mktemp("collection")
    texts = [f"the {colour} {noun} {verb}" for noun, verb, colour in itertools.product(NOUNS, VERBS, COLOURS)]
    documents = [{"docno": f"d{place}", "title": "a story", "text": text} for place, text in enumerate(texts)]
    documents += [{"docno": f"twin{place}", "title": "a  story", "text": texts[place]} for place in range(0, 80, 4)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    asked = [f"q{place}\t{' '.join(texts[place].split()[2:])}\n" for place in range(0, 80, 4)]
    (folder / "queries.train.tsv").write_text("".join(asked))
    judged = [f"q{place} 0 d{place} 2\nq{place} 0 d{place + 1} 1\nq{place} 0 d{place + 2} 0\n" for place in range(0, 80, 4)]
    (folder / "qrels.train.txt").write_text("".join(judged))
    return folder


@pytest.fixture(scope="module")
def dataset(collection: Path) -> Dataset:
    return load_dataset(collection)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    encoder(normalize=True).save(folder)
    return folder


@pytest.fixture(scope="module")
def index(dataset: Dataset, model: Path, tmp_path_factory: pytest.TempPathFactory) -> AnceIndex:
    """Of the corpus in another order, and without one document."""
    return indexed(dataset, model, tmp_path_factory.mktemp("index") / "x.ance", without="d1")


@pytest.fixture(scope="module")
def whole_index(dataset: Dataset, model: Path, tmp_path_factory: pytest.TempPathFactory) -> AnceIndex:
    return indexed(dataset, model, tmp_path_factory.mktemp("index") / "x.ance", without="")


def indexed(dataset: Dataset, model: Path, folder: Path, without: str) -> AnceIndex:
    backwards = [document for document in list(dataset.store())[::-1] if document["docno"] != without]
    return (MaxP(6, 4) >> DenseEncoder.from_pretrained(model).passages() >> AnceIndex(folder)).index(iter(backwards))


def excluded(qid: str) -> set[str]:
    place = int(qid[1:])
    return {f"d{place}", f"d{place + 1}", f"twin{place}"}


def docnos(record: TrainingRecord) -> list[str]:
    return [document["docno"] for document in record.negatives]


def ranking(pipeline: pt.Transformer, dataset: Dataset) -> dict[str, list[tuple[str, float]]]:
    """What a pipeline returns for the training queries, without what is excluded."""
    found = pipeline.transform(dataset.queries("train")).sort_values(["qid", "rank"])
    return {
        qid: [(docno, score) for docno, score in zip(rows["docno"], rows["score"], strict=True) if docno not in excluded(qid)]
        for qid, rows in found.groupby("qid")
    }


def of(system: str, dataset: Dataset) -> pt.Transformer:
    return Systems(dataset, num_results=23).parse(system)[1]  # 20, and the three that each query excludes


@pytest.mark.parametrize("system", ["bm25", "PART", "WHOLE", "WHOLE[aggregation=mean]", "bm25 % 40 >> WHOLE", "rrf(bm25, WHOLE)"])
def test_the_top_of_any_systems_ranking_without_positives_and_twins(
    dataset: Dataset, index: AnceIndex, whole_index: AnceIndex, system: str
) -> None:
    text = system.replace("PART", str(index.folder)).replace("WHOLE", str(whole_index.folder))
    mined = mine_negatives(dataset, text, negatives_per_query=5, depth=20, draw="top", scores=True)
    expected, records = ranking(of(text, dataset), dataset), list(mined)
    assert [record.qid for record in records] == [f"q{place}" for place in range(0, 80, 4)]
    assert isinstance(mined.ranker, DenseRanker) == ("bm25" not in system), "an index is searched through arrays"
    for record in records:
        found = expected[record.qid][:5]
        assert docnos(record) == [docno for docno, _ in found]
        assert record.negative_scores == pytest.approx([score for _, score in found], rel=1e-5)
        assert {document["docno"] for document in record.positives} <= {f"d{int(record.qid[1:])}", f"d{int(record.qid[1:]) + 1}"}
        assert record.query == f"{record.positives[0]['text'].partition(' ')[2].partition(' ')[2]}"


def test_a_window_and_draws(dataset: Dataset, index: AnceIndex) -> None:
    expected = ranking(of(str(index.folder), dataset), dataset)
    told: dict[str, Any] = {"negatives_per_query": 3, "depth": 8, "filters": Filters(skip=4)}
    for draw in ("uniform", "score"):
        one, other, third = (
            list(mine_negatives(dataset, str(index.folder), draw=draw, seed=seed, temperature=0.1, **told)) for seed in (1, 1, 2)
        )
        assert one == other
        assert one != third
        for record in one:
            window = [docno for docno, _ in expected[record.qid][4:12]]
            places = [window.index(docno) for docno in docnos(record)]
            assert places == sorted(set(places)), "different ones, hard ones first"
    taken = mine_negatives(dataset, str(index.folder), **told)
    list(taken)
    assert taken.report.taken["skip"] == 20 * 4
    assert taken.report.candidates == 20 * 8


def test_draws_are_uniform_or_by_score(dataset: Dataset, index: AnceIndex) -> None:
    expected = ranking(of(str(index.folder), dataset), dataset)
    for draw in ("uniform", "score"):
        counts = np.zeros(4)
        mined = mine_negatives(dataset, str(index.folder), draw=draw, temperature=0.02, negatives_per_query=1, depth=4)
        for seed in range(60):
            for record in dataclasses.replace(mined, how=dataclasses.replace(mined.how, seed=seed)):
                counts[[docno for docno, _ in expected[record.qid]].index(docnos(record)[0])] += 1
        scores = np.array([[score for _, score in expected[qid][:4]] for qid in expected])
        weights = np.exp((scores - scores[:, :1]) / 0.02) if draw == "score" else np.ones((20, 4))
        assert counts / counts.sum() == pytest.approx((weights / weights.sum(1, keepdims=True)).mean(0), abs=0.05)


def test_margins_are_to_the_best_positive_that_has_a_score(dataset: Dataset, index: AnceIndex) -> None:
    model = index.own_model()
    told = HardNegatives(negatives_per_query=5, depth=60, draw="top", scores=True, at_least=0)
    plain = {record.qid: record for record in mine_negatives(dataset, str(index.folder), told, negatives_per_query=60)}
    filters = Filters(relative_margin=0.4, max_score=0.57)
    mined = mine_negatives(dataset, str(index.folder), told, filters=filters)
    records = list(mined)
    taken = 0
    for record in records:
        own = int(record.qid[1:])
        vector = model.encode_queries([record.query])[0]
        known = [f"d{place}" for place in (own, own + 1) if f"d{place}" != "d1"]
        best = max(float((index.passage_vectors(docno) @ vector).max()) for docno in known)
        whole = plain[record.qid]
        safe = [
            docno
            for docno, score in zip(docnos(whole), whole.negative_scores, strict=True)
            if score <= min(0.57, best - 0.4 * abs(best)) + 1e-7
        ]
        taken += len(whole.negatives) - len(safe)
        assert docnos(record) == safe[:5]
        assert [document["docno"] for document in record.positives] == known
        assert max(record.positive_scores) == pytest.approx(best, rel=1e-5)
    assert mined.report.taken["max_score"] + mined.report.taken["relative_margin"] == taken > 0
    assert mined.report.unscored == 1, "d1 is not in the index"
    assert mined.report.fewer == sum(len(record.negatives) < 5 for record in records) > 0


class Fixed(pt.Transformer):
    """Ranks the same documents for every query."""

    def __init__(self, docnos: list[str]) -> None:
        self.docnos = docnos

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        rows = [(qid, docno, 10.0 - rank) for qid in inp["qid"] for rank, docno in enumerate(self.docnos)]
        return pd.DataFrame(rows, columns=["qid", "docno", "score"])


def test_margins_do_not_apply_to_queries_whose_positives_have_no_score(dataset: Dataset) -> None:
    told: dict[str, Any] = {"depth": 3, "negatives_per_query": 3}
    mined = mine_negatives(dataset, Fixed(["d90", "d0", "d91", "d92"]), filters=Filters(margin=0.5), draw="top", **told)
    records = {record.qid: docnos(record) for record in mined}
    assert records.pop("q0") == ["d91", "d92"], "d0 is its positive, and d90 scores above it"
    assert all(found == ["d90", "d0", "d91"] for found in records.values())
    report = mined.report
    assert (report.positives, report.unscored, report.without_score) == (40, 39, 19)
    assert (report.taken["excluded"], report.taken["margin"]) == (1, 1)
    assert report.suspected == 0
    scored = mine_negatives(dataset, Fixed(["d90", "d0", "d91", "d92"]), scores=True, **told)
    (record,) = scored
    assert record.positive_scores == (9.0,)
    assert scored.report.dropped == 19


def test_positives_that_a_cascade_does_not_return_are_scored_by_its_last_stage(dataset: Dataset, whole_index: AnceIndex) -> None:
    index = whole_index
    mined = mine_negatives(dataset, f"bm25 % 2 >> {index.folder}", negatives_per_query=1, depth=5, at_least=0, scores=True)
    model = index.own_model()
    for record in mined:
        vectors = model.encode_documents([model.settings.join(document) for document in record.positives], MaxP(6, 4))
        scores = np.maximum.reduceat(model.encode_queries([record.query]) @ vectors[0].T, np.cumsum(vectors[1]) - vectors[1], axis=1)[0]
        assert record.positive_scores == pytest.approx(scores, rel=1e-4)
        assert len(record.positives) == 2
    assert mined.report.unscored == 0
    fused = mine_negatives(dataset, f"rrf(bm25 % 1, {index.folder} % 1)", negatives_per_query=1, depth=5, at_least=0)
    list(fused)
    assert fused.report.unscored > 20, "a fusion's scores depend on its rankings"


def test_the_verdict_of_a_cross_encoder(dataset: Dataset, index: AnceIndex) -> None:
    teacher = cross_encoder()
    told = HardNegatives(negatives_per_query=30, depth=30, draw="top", at_least=0)
    whole = {record.qid: record for record in mine_negatives(dataset, str(index.folder), told)}
    mined = mine_negatives(dataset, str(index.folder), told, filters=Filters(teacher=teacher, teacher_margin=0.01))
    taken = 0
    for record in mined:

        def judged(documents: Any, query: str = record.query) -> np.ndarray:
            return teacher.log_odds([query] * len(documents), [teacher.settings.join(document) for document in documents])

        safe = judged(whole[record.qid].negatives) <= judged(record.positives).max() - 0.01
        assert docnos(record) == [docno for docno, kept in zip(docnos(whole[record.qid]), safe, strict=True) if kept]
        taken += int((~safe).sum())
    assert 0 < mined.report.taken["teacher"] == taken < 600


def test_suspects_are_those_nearest_to_the_positive(dataset: Dataset, index: AnceIndex) -> None:
    mined = mine_negatives(dataset, str(index.folder), negatives_per_query=3, depth=10, scores=True, draw="top")
    records = list(mined)
    gaps = sorted((record.negative_scores[0] - max(record.positive_scores) for record in records), reverse=True)
    assert [suspect.gap for suspect in mined.report.suspects] == pytest.approx(gaps)
    above = sum(score >= max(record.positive_scores) for record in records for score in record.negative_scores)
    assert mined.report.suspected == above > 0
    first = mined.report.suspects[0]
    record = next(record for record in records if record.qid == first.qid)
    assert first.negative == record.negatives[0]
    assert first.positive["docno"] == record.positives[int(np.argmax(record.positive_scores))]["docno"]
    assert all(part in str(first) for part in (first.query, first.negative["docno"], first.positive["text"]))


def test_only_queries_that_exclude_many_documents_are_searched_deep_by_a_pipeline(dataset: Dataset) -> None:
    store, total = dataset.store(), 150
    own = [np.arange(60) if query == 40 else np.arange(query % 3) for query in range(total)]
    queries = TrainingQueries(
        qids=[f"q{query}" for query in range(total)],
        texts=["dog"] * total,
        positives=[found[:1] for found in own],
        excluded=own,
        documents=len(store),
    )
    asked: list[tuple[int, int]] = []

    class InOrder(pt.Transformer):
        def __init__(self, results: int) -> None:
            self.results = results

        def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
            asked.append((len(frame), self.results))
            docnos = store.docnos(np.arange(min(self.results, len(store))))
            found = [(qid, docno, -rank, rank) for qid in frame["qid"] for rank, docno in enumerate(docnos)]
            return pd.DataFrame(found, columns=["qid", "docno", "score", "rank"])

    ranker = ranker_of(InOrder, 5, "in order", dataset, store, queries)
    rankings = {
        int(query): row
        for ranked in ranker.allowed(np.arange(total), 5)
        for query, row in zip(ranked.queries, ranked.found_BF, strict=True)
    }
    assert sorted(asked) == [(1, 5 + 64), (21, 7), (64, 7), (64, 7)]
    for query in range(total):
        assert rankings[query][:5].tolist() == list(range(len(own[query]), len(own[query]) + 5))


def interrupted(mined: MinedRecords, after: int) -> list[TrainingRecord]:
    """The first records, as a process that is killed has them."""
    stream: Iterator[TrainingRecord] = iter(mined)
    return list(itertools.islice(stream, after))


@pytest.mark.parametrize("system", ["bm25", "INDEX"])
def test_an_interrupted_mining_is_resumed_and_ends_the_same(
    dataset: Dataset, index: AnceIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(mine, "_QUICK", 6)
    monkeypatch.setattr(mine, "_SLOW", 6)
    system = str(index.folder) if system == "INDEX" else system
    told: dict[str, Any] = {"negatives_per_query": 3, "depth": 10, "filters": Filters(margin=0.01)}
    whole = mine_negatives(dataset, system, **told)
    expected = list(whole)
    interrupted(mine_negatives(dataset, system, work=tmp_path / "work", **told), 8)
    assert len(list((tmp_path / "work").glob("block-*"))) == 2
    asked: list[int] = []
    again = mine_negatives(dataset, system, work=tmp_path / "work", **told)
    original: Callable[..., Any] = again._mine
    monkeypatch.setattr(again, "_mine", lambda queries: asked.extend(queries.tolist()) or original(queries))
    assert list(again) == expected
    assert asked == list(range(12, 20)), "what was done is not done again"
    assert dataclasses.asdict(again.report) == dataclasses.asdict(whole.report)
    with pytest.raises(TrainingError, match=r"work .*depth was 10, is 11"):
        list(mine_negatives(dataset, system, work=tmp_path / "work", **{**told, "depth": 11}))
    block = next((tmp_path / "work").glob("block-*"))
    block.write_bytes(block.read_bytes()[:50])
    with pytest.raises(TrainingError, match=block.name):
        list(mine_negatives(dataset, system, work=tmp_path / "work", **told))


def test_two_processes_do_not_mine_into_one_folder(dataset: Dataset, tmp_path: Path) -> None:
    first = iter(mine_negatives(dataset, "bm25", work=tmp_path / "work", depth=10))
    next(first)
    with pytest.raises(UsageError, match="another process"):
        next(iter(mine_negatives(dataset, "bm25", work=tmp_path / "work", depth=10)))


def test_a_system_that_cannot_be_known_again_is_not_resumed(dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert list(mine_negatives(dataset, Fixed(["d90", "d91"]), work=tmp_path / "work", depth=10))
    assert "Fixed" in caplog.text
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("form", ["tevatron", "flagembedding", "sentence-transformers", "dpr", "colbert", "trec"])
def test_files_hold_what_was_mined(dataset: Dataset, tmp_path: Path, form: str) -> None:
    out = tmp_path / ("out" if form == "colbert" else "out.json" if form == "dpr" else "out.jsonl" if form != "trec" else "run.txt.gz")
    told: dict[str, Any] = {"negatives_per_query": 4, "depth": 12}
    report = write_negatives(dataset, "bm25", out, form, **told)
    records = list(mine_negatives(dataset, "bm25", **told))
    assert list(tmp_path.iterdir()) == [out], "what was kept is removed"
    assert report.records == len(records) == 20
    if form == "trec":
        run = read_run(out)
        assert list(zip(run["qid"], run["docno"], strict=True)) == [(record.qid, one) for record in records for one in docnos(record)]
        return
    read = load_dataset(out)
    texts = {document["docno"]: document["text"] for document in read.store()}
    asked = dict(zip(read.queries("train")["qid"], read.queries("train")["query"], strict=True))
    found = sorted((asked[one.qid], sorted(texts[docno] for docno in one.negatives)) for one in read.instances("train"))
    joined = form in ("flagembedding", "sentence-transformers")  # in which a passage is one text
    expected = [
        (record.query, sorted((f"{one['title']} " if joined else "") + one["text"] for one in record.negatives)) for record in records
    ]
    assert [(query, [" ".join(text.split()) for text in negatives]) for query, negatives in found] == sorted(
        (query, [" ".join(text.split()) for text in negatives]) for query, negatives in expected
    )


@pytest.mark.parametrize("form", ["sentence-transformers", "colbert"])
def test_files_of_even_records_leave_queries_with_fewer_out(dataset: Dataset, tmp_path: Path, form: str) -> None:
    told: dict[str, Any] = {"negatives_per_query": 4, "depth": 4, "pipelines": {"fixed": Fixed(["d90", "d0", "d4", "d91"])}}
    uneven = write_negatives(dataset, "fixed", tmp_path / "uneven.jsonl", "tevatron", **told)
    assert (uneven.records, uneven.fewer, uneven.left_out) == (20, 2, 0)
    even = write_negatives(dataset, "fixed", tmp_path / "even", form, **told)
    assert (even.records, even.fewer, even.left_out) == (18, 0, 2)
    assert form == "colbert" or [path.name for path in (tmp_path / "even").iterdir()] == ["train.jsonl"], "as convert does"
    counts = {name: {len(one.negatives) for one in load_dataset(tmp_path / name).instances("train")} for name in ("uneven.jsonl", "even")}
    assert counts == {"uneven.jsonl": {3, 4}, "even": {4}}


def test_the_overlap_with_another_mining(dataset: Dataset, tmp_path: Path) -> None:
    told: dict[str, Any] = {"negatives_per_query": 4, "depth": 12}
    first = {record.qid: set(docnos(record)) for record in mine_negatives(dataset, "bm25", seed=1, **told)}
    for form, name in (("trec", "run.txt"), ("tevatron", "train.jsonl"), ("flagembedding", "flag.jsonl")):
        write_negatives(dataset, "bm25", tmp_path / name, form, seed=1, **told)
        mined = mine_negatives(dataset, "bm25", seed=2, compare_with=tmp_path / name, **told)
        shares = [len(first[record.qid] & set(docnos(record))) / 4 for record in mined]
        assert mined.report.compared == 20
        # where a text is all that is known of a document, its twin is as good
        assert mined.report.overlap == pytest.approx(np.mean(shares), abs=0.1 if form == "flagembedding" else 1e-9)
        assert 0 < mined.report.overlap < 1


def test_what_cannot_be_meant(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    for told, said in (
        ({"negatives_per_query": 0}, "negatives_per_query"),
        ({"depth": 0}, "depth"),
        ({"negatives_per_query": 9, "depth": 8}, "9 .* 8"),
        ({"draw": "best"}, "'best'"),
        ({"temperature": 0.0}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"at_least": 8}, "at_least"),
    ):
        with pytest.raises(UsageError, match=said):
            HardNegatives(**told)  # type: ignore[arg-type]
    (tmp_path / "there").write_text("x")
    with pytest.raises(UsageError, match="there exists"):
        write_negatives(dataset, "bm25", tmp_path / "there", "tevatron")
    with pytest.raises(UsageError, match=r"'tevatrom'.*tevatron.*trec"):
        write_negatives(dataset, "bm25", tmp_path / "x", "tevatrom")
    with pytest.raises(UsageError, match="bm26"):
        write_negatives(dataset, "bm26", tmp_path / "x", "tevatron")
    with pytest.raises(TrainingError, match="'d999'"):
        list(mine_negatives(dataset, Fixed(["d999"]), depth=10))
    passages = MaxP(6, 4) >> DenseEncoder.from_pretrained(model).passages()
    other = (passages >> AnceIndex(tmp_path / "other.ance")).index(iter([{"docno": "d999", "text": "the red fox"}]))
    with pytest.raises(TrainingError, match=r"other\.ance.*'d999'"):
        list(mine_negatives(dataset, str(other.folder), depth=10))
