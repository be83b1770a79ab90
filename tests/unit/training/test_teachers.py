"""Distillation from scores that were computed before, and the negatives that come with the training data."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ance_ir.datasets import Dataset, DocumentStore
from ance_ir.datasets.instances import TrainingInstance
from ance_ir.datasets.layouts.collection import DirectoryDataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.indexes import FirstP
from ance_ir.training import DenseObjective, MinedNegatives, Pairs, ScoredPairs, TrainingQueries, TrainingSettings
from ance_ir.training.batches import Batch, Batches
from ance_ir.workflows import DenseTraining, train_on_dataset, train_reranker_on_dataset
from ance_ir.workflows.negatives import NamedNegatives
from ance_ir.workflows.pairs import pairs_of_file
from ance_ir.workflows.sets import TrainingSets
from tests.tiny import cross_encoder, encoder


class Given(DirectoryDataset):
    """The collection with instances that were given."""

    given: tuple[TrainingInstance, ...] = ()

    def instances(self, split: str = "train") -> Iterator[TrainingInstance]:
        """Those."""
        return iter(self.given)


def scored(queries: TrainingQueries, negatives: int = 4, **more: Any) -> list[TrainingInstance]:
    """An instance of each query with the documents that follow its own, scored from their numbers."""
    made = []
    for place, qid in enumerate(queries.qids):
        others = tuple(f"d{(place + 1 + i) % 36}" for i in range(negatives))
        scores = tuple(float((place + 1 + i) % 7) - 3 for i in range(negatives))
        made.append(
            TrainingInstance(qid=qid, positives=(f"d{place}",), negatives=others, positive_scores=(4.5,), negative_scores=scores, **more)
        )
    return made


@pytest.fixture
def given(collection: Path, queries: TrainingQueries) -> Given:
    dataset = Given(collection)
    dataset.given = tuple(scored(queries))
    return dataset


def named(dataset: Dataset, depth: int = 9) -> NamedNegatives:
    return NamedNegatives(TrainingSets.open([dataset], ["train"]), depth=depth, device="cpu")


def test_own_negatives_come_hard_ones_first_and_never_a_positive(given: Given) -> None:
    given.given = (
        TrainingInstance(qid="q0", positives=("d0",), negatives=("d5", "d6", "d0", "twin")),
        TrainingInstance(qid="q1", positives=("d1",)),
        TrainingInstance(qid="unknown", positives=("d1",), negatives=("d9",)),
        TrainingInstance(qid="q0", positives=("d0",), negatives=("d7", "d5")),
    )
    source = named(given).make("dataset")
    numbers = given.store().numbers(["d5", "d7", "d6"])
    assert source.candidates[0].tolist() == numbers.tolist(), "the first of each instance, then the second; each once"  # type: ignore[attr-defined]
    assert named(given, depth=1).make("dataset").candidates[0].tolist() == numbers[:1].tolist()  # type: ignore[attr-defined]
    drawn = source.draw(np.array([1]), 30, np.random.default_rng(1))
    assert len(np.unique(drawn)) > 10, "a query without any draws from the whole corpus"
    mixed = named(given).make("mix(dataset, random)")
    assert mixed.name == "dataset+random"


def test_own_negatives_outside_the_corpus_are_counted(given: Given, caplog: pytest.LogCaptureFixture) -> None:
    given.given = (TrainingInstance(qid="q0", positives=("d0",), negatives=("gone", "d5", "gone")),)
    source = named(given).make("dataset")
    assert len(source.candidates[0]) == 1  # type: ignore[attr-defined]
    assert "1 documents" in caplog.text
    assert "'gone'" in caplog.text


def test_data_without_negatives_is_refused(dataset: Dataset) -> None:
    with pytest.raises(TrainingError, match="'train'"):
        named(dataset).make("dataset")


def test_a_reranker_takes_own_negatives(given: Given, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=2, batch_size=4, refresh_every=2)
    train_reranker_on_dataset(given, cross_encoder(), tmp_path / "run", settings, negatives="dataset")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["negatives"]["name"] == "dataset"


def _gradients(objective: DenseObjective, batch: Batch) -> list[torch.Tensor]:
    objective.model.zero_grad()
    objective.backward(batch, 1.0, 1.0)
    return [weight.grad.clone() for weight in objective.model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("loss", ["margin-mse", "kl"])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_gradients_are_those_of_the_live_teacher(dataset: Dataset, queries: TrainingQueries, loss: str, share: float) -> None:
    """All pairs come from the table, or half of them, or (but for one) none; a live teacher has the others."""
    teacher, store = cross_encoder(), dataset.store()
    settings = TrainingSettings(steps=1, batch_size=6, negatives=3, dropout=False)
    batch = Batches(queries, named(dataset).make("random"), settings).of_step(0)[0]
    live = DenseObjective(encoder(), queries, store, FirstP(), loss=loss, teacher=teacher)
    documents = np.concatenate([batch.positives[:, None], batch.negatives], axis=1)
    asked = np.repeat(batch.queries, documents.shape[1])
    texts = [store[int(number)]["text"] for number in documents.ravel()]
    scores = teacher.log_odds([queries.texts[query] for query in asked], texts, FirstP())
    kept = np.arange(len(asked)) < max(1, share * len(asked))
    pairs = Pairs.of(asked, documents.ravel(), np.full(len(asked), -1), np.where(kept, scores, np.nan))
    assert live._teacher is not None
    table = ScoredPairs(queries, store, pairs, "table", live._teacher)
    counted: list[int] = []
    asked_before = teacher.log_odds
    teacher.log_odds = lambda queries, *rest: (counted.append(len(queries)), asked_before(queries, *rest))[1]  # type: ignore[method-assign, assignment]
    ours = _gradients(DenseObjective(encoder(), queries, store, FirstP(), loss=loss, teacher=table), batch)
    assert sum(counted) == (~kept).sum(), "the live teacher reads only what has no score"
    theirs = _gradients(live, batch)
    largest = max(float(one.abs().max()) for one in theirs)
    assert largest > 1e-4
    rounding = 4 * torch.finfo(torch.float32).eps * largest  # a live teacher reads the pairs in batches of another size
    assert ours and all(torch.allclose(one, other, rtol=0, atol=rounding) for one, other in zip(ours, theirs, strict=True))


def _train(given: Dataset, folder: Path, scores: str, **options: Any) -> dict[str, Any]:
    settings = TrainingSettings(steps=3, batch_size=4, negatives=2, refresh_every=2)
    how = DenseTraining(**{"negatives": "dataset", "loss": "kl", "passages": FirstP(), "teacher_scores": scores, **options})
    train_on_dataset(given, encoder(), folder, settings, how)
    manifest: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return manifest


def _write_run(path: Path, given: Given) -> str:
    lines = []
    for instance in given.given:
        for docno, score in zip(
            (*instance.positives, *instance.negatives), (*instance.positive_scores, *instance.negative_scores), strict=True
        ):
            lines.append(f"{instance.qid} Q0 {docno} 1 {score} x\n")
    raw = "".join(lines).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return str(path)


@pytest.mark.filterwarnings("ignore")
def test_a_run_another_folder_and_the_data_itself_are_the_same_teacher(given: Given, tmp_path: Path) -> None:
    own = _train(given, tmp_path / "own", "dataset")
    run = _train(given, tmp_path / "run", _write_run(tmp_path / "scores.txt.gz", given))
    shutil.copytree(given.path, tmp_path / "copy")
    names = ("qid", "positives", "negatives", "positive_scores", "negative_scores")
    lines = [json.dumps({name: getattr(one, name) for name in names}) + "\n" for one in given.given]
    (tmp_path / "copy" / "instances.train.jsonl").write_text("".join(lines))
    copy = _train(given, tmp_path / "other", str(tmp_path / "copy"))
    assert own["teacher"]["fingerprint"] == run["teacher"]["fingerprint"] == copy["teacher"]["fingerprint"]
    models = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("own", "run")]
    assert models[0] == models[1]


def test_another_file_is_another_run(given: Given, tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    _train(given, tmp_path / "run", _write_run(path, given))
    _train(given, tmp_path / "run", str(path))
    path.write_text(path.read_text().replace(" 4.5 ", " 4.25 ", 1))
    with pytest.raises(TrainingError, match=r"teacher\.fingerprint"):
        _train(given, tmp_path / "run", str(path))


def test_positives_without_a_score_are_refused_with_their_number(given: Given, tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    _write_run(path, given)
    kept = [line for line in path.read_text().splitlines(keepends=True) if not line.startswith(("q3 Q0 d3 ", "q5 Q0 d5 "))]
    path.write_text("".join(kept))
    with pytest.raises(TrainingError, match=r"2 of 24 .*'q3'.*'d3'"):
        _train(given, tmp_path / "run", str(path))
    assert not (tmp_path / "run").exists()
    manifest = _train(given, tmp_path / "run", str(path), teacher=cross_encoder())
    assert manifest["teacher"]["others"]["fingerprint"] == cross_encoder().fingerprint()


@pytest.mark.parametrize("place", ["dataset", "a file"])
def test_scores_made_of_margins_do_not_mix_with_those_of_a_teacher(
    given: Given, queries: TrainingQueries, tmp_path: Path, place: str
) -> None:
    if place == "dataset":
        given.given = (*scored(queries)[1:], *scored(queries, margins=True)[:1])
    store = given.store()
    rows = [
        {"query": text, "positive": store[i]["text"], "negative": store[(i + 1) % 36]["text"], "label": 2.5}
        for text, i in {text: i for i, text in enumerate(queries.texts)}.items()
    ]
    path = tmp_path / "margins.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = place if place == "dataset" else str(path)
    with pytest.raises(UsageError, match=f"{Path(source).name}.*margins.*{cross_encoder().name}"):
        _train(given, tmp_path / "run", source, teacher=cross_encoder())
    assert not (tmp_path / "run").exists()
    if place == "dataset":
        _train(given, tmp_path / "run", source)


def test_queries_without_a_scored_negative_are_refused(given: Given, tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    _write_run(path, given)
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("q7 ") or "4.5" in line))
    with pytest.raises(TrainingError, match=r"1 of 24 .*'q7'"):
        _train(given, tmp_path / "run", str(path))


@pytest.mark.parametrize("negatives", ["random", "bm25", "ance", "dataset", "mix(bm25, random)"])
def test_only_scored_documents_are_drawn(
    given: Given, tmp_path: Path, negatives: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, int]] = []
    taught = ScoredPairs.scores

    def watched(self: ScoredPairs, queries_B: np.ndarray, documents_BK: np.ndarray) -> np.ndarray:
        drawn.extend((int(query), int(number)) for query, row in zip(queries_B, documents_BK, strict=True) for number in row)
        return taught(self, queries_B, documents_BK)

    monkeypatch.setattr(ScoredPairs, "scores", watched)
    _train(given, tmp_path / "run", "dataset", negatives=negatives, depth=30)
    assert len(drawn) == 3 * 4 * 3
    assert all((number - query) % 36 <= 4 for query, number in drawn)
    assert ("have no score" in caplog.text) == (negatives not in ("random", "dataset"))


def test_scores_of_a_training_file_without_ids_are_found_by_text(
    given: Given, queries: TrainingQueries, dataset: Dataset, tmp_path: Path
) -> None:
    """As a layout of texts alone has them: ids of its own, one document for two of ours that are alike."""
    store = given.store()
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"docno": f"hash{i}", "text": f" {store[i]['text']}  "}) + "\n" for i in range(36))
    )
    (folder / "queries.train.tsv").write_text("".join(f"h{i}\t{text.upper()}\n" for i, text in enumerate(queries.texts)))
    (folder / "qrels.train.txt").write_text("".join(f"h{i} 0 hash{i} 1\n" for i in range(len(queries))))
    other = Given(folder)
    moved = [
        TrainingInstance(
            qid=f"h{i}",
            positives=(f"hash{i}",),
            negatives=tuple(f"hash{docno[1:]}" for docno in one.negatives),
            positive_scores=one.positive_scores,
            negative_scores=one.negative_scores,
        )
        for i, one in enumerate(given.given)
    ]
    other.given = tuple(moved)
    pairs = Pairs.read(other.instances(), {f"h{i}": i for i in range(len(queries))}, other.store().numbers, "texts")
    found = pairs.translated([np.array([i]) for i in range(len(queries))], other.store(), store, "texts")
    expected = Pairs.read(given.given, {qid: i for i, qid in enumerate(queries.qids)}, store.numbers, "given")
    twin = store.numbers(["twin"])[0]
    ours = set(zip(found.queries.tolist(), found.documents.tolist(), found.scores.tolist(), strict=True))
    own = set(zip(expected.queries.tolist(), expected.documents.tolist(), expected.scores.tolist(), strict=True))
    assert own < ours
    assert {number for _, number, _ in ours - own} == {twin}, "what has the same text has the same score"


def test_scores_of_other_queries_with_the_same_qids_are_not_taken(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, own = dataset.store(), [np.array([0])] * 3
    queries = TrainingQueries(qids=["0", "1", "2"], texts=["first", "second", "third"], positives=own, excluded=own, documents=len(store))
    passage = {"docid": "d3", "title": "", "text": store[3]["text"], "score": 2.5}
    records = [
        {"query_id": qid, "query": text, "positive_passages": [passage], "negative_passages": []}
        for qid, text in {"0": "Second", "2": "fourth"}.items()
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    (found,) = pairs_of_file(str(path), [(queries, store)])
    assert (found.queries.tolist(), found.scores.tolist()) == ([1], [2.5])
    assert f"1 qids of {path}" in caplog.text


def test_documents_of_a_run_that_the_corpus_lacks_are_named(
    dataset: Dataset, queries: TrainingQueries, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.txt"
    path.write_text(f"{queries.qids[0]} Q0 d3 1 2.0 x\n{queries.qids[0]} Q0 gone 2 1.0 x\n")
    (found,) = pairs_of_file(str(path), [(queries, dataset.store())])
    assert len(found.queries) == 1
    assert "gone" in caplog.text


def test_documents_whose_titles_were_left_out_are_found_by_their_texts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    titled = [
        {"docno": "a", "title": "One", "text": "first"},
        {"docno": "b", "text": "second"},
        {"docno": "c", "title": "x", "text": "first"},
    ]
    bare = [
        {"docno": "h1", "text": "first"},
        {"docno": "h2", "text": "second"},
        {"docno": "a", "text": "other"},
        {"docno": "h3", "text": "?"},
        {"docno": "b", "title": "Two", "text": "second"},
        {"docno": "c", "text": "second"},
    ]
    ours, theirs = (DocumentStore.build(documents, tmp_path / name) for name, documents in (("ours", titled), ("theirs", bare)))
    pairs = Pairs.of([0] * 6, range(6), range(6), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    found = pairs.translated([np.array([5, 6])], theirs, ours, "x.jsonl")
    rows = sorted(zip(found.queries.tolist(), found.documents.tolist(), found.scores.tolist(), strict=True))
    expected = ((0, 1.0), (0, 3.0), (1, 2.0), (1, 5.0), (1, 6.0), (2, 1.0))  # the last of theirs has the docno of c, and the text of b
    assert rows == [(query, *row) for query in (5, 6) for row in expected]
    assert "1 documents of x.jsonl" in caplog.text and "('a')" in caplog.text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "scores.txt"),
        ("unknown Q0 d1 1 2.0 x\n", "none of its scores"),
        ("q0 Q0 d0 1 inf x\n", "finite"),
        ("q0 Q0 d0\n", "scores.txt"),
    ],
)
def test_what_is_no_file_of_scores_is_refused(given: Given, tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "scores.txt").write_text(lines)
    with pytest.raises(Exception, match=message) as refused:
        _train(given, tmp_path / "run", str(tmp_path / "scores.txt"))
    assert type(refused.value).__module__ == "ance_ir.errors"
    with pytest.raises(TrainingError, match="no-such-file"):
        _train(given, tmp_path / "run", "no-such-file")


def test_of_several_scores_the_first_counts(queries: TrainingQueries, dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    store: DocumentStore = dataset.store()
    pairs = Pairs.of([1, 1, 1], [7, 7, 8], [0, 0, 0], [2.0, 3.0, np.nan])
    table = ScoredPairs(queries, store, pairs, "table", ScoredPairs(queries, store, Pairs.of([0], [0], [0], [9.0]), "rest", _NOBODY))
    assert table.scores(np.array([1]), np.array([[7, 7]])).tolist() == [[2.0, 2.0]]
    assert "1 scores differ" in caplog.text
    with pytest.raises(TrainingError, match="asked"):
        table.scores(np.array([1]), np.array([[7, 8]]))


class _Nobody:
    def __init__(self) -> None:
        self.manifest: dict[str, Any] = {}

    def scores(self, queries_B: np.ndarray, documents_BK: np.ndarray) -> np.ndarray:
        raise TrainingError("asked")


_NOBODY = _Nobody()


def test_mined_negatives_keep_their_order_where_some_may_not_be_drawn(queries: TrainingQueries) -> None:
    from ance_ir.training import AnnNegatives

    few = queries.restricted([np.array([3, 5, 9]) if i != 3 else np.array([7]) for i in range(len(queries))], "table")
    source = AnnNegatives(few, draw="top")
    candidates = np.tile(np.array([8, 9, 30, 3, 6], dtype=np.int32), (len(queries), 1))
    scores = np.tile(np.array([5, 4, 3, 2, 1], dtype=np.float32), (len(queries), 1))
    sample = np.zeros(0, dtype=np.int64)
    source.use(MinedNegatives(candidates_QK=candidates, scores_QK=scores, top_SN=candidates[:0], sample_S=sample, report={"mined_at": 0}))
    assert source.draw(np.array([0]), 2, np.random.default_rng(1)).tolist() == [[9, 3]]
    assert source.draw(np.array([3]), 2, np.random.default_rng(1)).tolist() == [[7, 7]]
