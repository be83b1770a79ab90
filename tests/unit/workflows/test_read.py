"""Readers on a dataset: which passages they read, what is right, and the reader without a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import TrainingError, UsageError
from ance_ir.models import Reader
from ance_ir.pipelines import AnswerReader, NearestName
from ance_ir.training import TrainingQueries, TrainingSettings
from ance_ir.workflows import evaluate_readers, open_readers, read_training_runs, train_reader_on_dataset
from ance_ir.workflows.reader import answered
from tests.command import Run
from tests.published import write_bert
from tests.tiny import reader

PASSAGES = {
    "d1": ("Ulm", "In 1879 Albert Einstein was born in Ulm. The city lies by a river."),
    "d2": ("", "A king named Louis XIV had a palace built, and the queen lived there."),
    "d3": ("Moon", "The moon is old. Nobody lives there but a small green cat called Tom."),
    "d4": ("", "A dog runs by the river and a king runs after it in Rome."),
}
QUESTIONS = {
    "q1": ("when was einstein born", ["1879", "in 1879"], "d1"),
    "q2": ("which king had a palace", ["Louis XIV", "Louis"], "d2"),
    "q3": ("what is the small cat called", ["Tom"], "d3"),
    "q4": ("where does the king run after a dog", ["Paris"], "d4"),
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    documents = [{"docno": docno, "title": title, "text": text} for docno, (title, text) in PASSAGES.items()]
    answers = [{"qid": qid, "question": text, "answers": right} for qid, (text, right, _) in QUESTIONS.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    for split in ("", ".train"):
        (folder / f"queries{split}.tsv").write_text("".join(f"{qid}\t{text}\n" for qid, (text, _, _) in QUESTIONS.items()))
        (folder / f"qrels{split}.txt").write_text("".join(f"{qid} 0 {docno} 1\n" for qid, (_, _, docno) in QUESTIONS.items()))
        (folder / f"answers{split}.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    return folder


@pytest.fixture(scope="module")
def dataset(collection: Path) -> Dataset:
    return load_dataset(collection)


def test_the_nearest_name() -> None:
    questions, texts = [text for text, _, _ in QUESTIONS.values()], [text for _, text in PASSAGES.values()]
    found = NearestName().read([*questions, "who"], [*texts, "all in small letters"])
    assert found.answers == ["1879 Albert", "Louis XIV", "Tom", "Rome", ""]
    assert found.relevance.tolist() == [3, 4, 5, 5, -np.inf]
    assert found.scores[1] == pytest.approx(1 / 3 + 1 / 2 + 1 + 1 / 2 + 1 / 3)
    assert found.scores[4] == -np.inf


@pytest.mark.parametrize(("system", "depth"), [("gold", 10), ("bm25", 1), ("bm25", 3)])
def test_readers_on_a_dataset(dataset: Dataset, system: str, depth: int, tmp_path: Path) -> None:
    model = reader()
    readers = {"tiny": AnswerReader(model), "names": AnswerReader(NearestName())}
    report = evaluate_readers(dataset, readers, system=system, depth=depth)
    assert list(report.per_query) == list(report.answers) == ["tiny", "names"]
    found = report.answers["tiny"]
    assert found["qid"].tolist() == list(QUESTIONS)
    if system == "gold":
        assert found["docno"].tolist() == [docno for _, _, docno in QUESTIONS.values()]
        direct = model.read(
            [text for text, _, _ in QUESTIONS.values()],
            [text for _, text in PASSAGES.values()],
            [title for title, _ in PASSAGES.values()],
        )
        assert found["qanswer"].tolist() == direct.answers
    assert report.per_query["names"]["EM"].tolist()[1:] == [1, 1, 0]
    text = report.to_text()
    assert "names" in text and "4 questions" in text
    report.save(tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    assert lines[0]["reader"] == "tiny"
    assert lines[0]["qanswer"] == found["qanswer"][0]


def test_some_of_the_questions(dataset: Dataset) -> None:
    names = {"names": AnswerReader(NearestName())}
    drawn = [
        evaluate_readers(dataset, names, system="gold", questions=2, seed=seed).per_query["names"].index.tolist() for seed in (1, 1, 5)
    ]
    assert drawn[0] == drawn[1]
    assert {len(qids) for qids in drawn} == {2}
    with pytest.raises(UsageError, match="questions is at least 1, not 0"):
        evaluate_readers(dataset, names, questions=0)


def test_questions_that_are_left_out_or_have_no_passage_are_warned_of(collection: Path, tmp_path: Path) -> None:
    folder = tmp_path / "partly"
    shutil.copytree(collection, folder)
    answers = (folder / "answers.jsonl").read_text().splitlines(keepends=True)
    (folder / "answers.jsonl").write_text("".join(answers[1:]) + json.dumps({"qid": "q9", "question": "?", "answers": ["x"]}) + "\n")
    (folder / "qrels.txt").write_text((folder / "qrels.txt").read_text().replace("q2", "other"))
    report = evaluate_readers(load_dataset(folder), {"nearest": AnswerReader(NearestName())}, system="gold")
    without_answers, unasked, without_passages = report.notices
    assert "'q1'" in without_answers
    assert "'q9'" in unasked
    assert "'q2'" in without_passages


def test_questions_whose_answers_are_empty_are_warned_of(collection: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    shutil.copytree(collection, folder)
    lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    lines[0]["answers"] = [" "]
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (notice,) = evaluate_readers(load_dataset(folder), {"nearest": AnswerReader(NearestName())}, system="gold").notices
    assert repr(lines[0]["qid"]) in notice


def test_readers_by_name(tmp_path: Path) -> None:
    reader().save(tmp_path / "x")
    opened = open_readers((f"a={tmp_path / 'x'}", "nearest-name"), device="cpu")
    assert list(opened) == ["a", "nearest-name"]
    assert isinstance(opened["a"].reader, Reader)
    with pytest.raises(UsageError, match="nearest-name"):
        open_readers(("nearest-name", "nearest-name"))


def test_positives_without_an_answer_are_left_out(dataset: Dataset) -> None:
    store = dataset.store()
    queries, answers = answered(TrainingQueries.load(dataset, store), dataset, store, "train")
    assert queries.qids == ["q1", "q2", "q3"]
    assert [found.are_in("Louis") for found in answers] == [False, True, False]
    assert len(queries.texts) == len(queries.positives) == len(queries.excluded) == 3
    none = TrainingQueries.load(dataset, store)
    only = none.qids.index("q4")
    alone = TrainingQueries(
        qids=none.qids[only:], texts=none.texts[only:], positives=none.positives[only:], excluded=none.excluded[only:], documents=4
    )
    with pytest.raises(TrainingError, match="of 1 questions none has a relevant passage that holds an answer"):
        answered(alone, dataset, store, "train")


@pytest.mark.parametrize("negatives", ["bm25", "random"])
def test_trained_on_a_dataset_a_reader_answers_its_questions(dataset: Dataset, tmp_path: Path, negatives: str) -> None:
    settings = TrainingSettings(steps=60, batch_size=3, negatives=1, learning_rate=3e-3, dropout=False)
    train_reader_on_dataset(dataset, reader(pair_length=64), tmp_path / "run", settings, negatives=negatives)
    (name,) = opened = open_readers((str(tmp_path / "run"),), device="cpu")
    report = evaluate_readers(dataset, opened, depth=4)
    assert report.per_query[name]["EM"].tolist() == [1, 1, 1, 0]


def test_the_commands(run: Run, collection: Path, tmp_path: Path) -> None:
    backbone = write_bert(tmp_path / "bert")
    told = ["--dataset", collection, "--model", backbone, "--fresh-head", "dpr", "--pair-length", 48, "--device", "cpu"]
    told += ["--steps", 2, "--batch-size", 2, "--negatives-per-query", 1, "--depth", 3, "--out", tmp_path / "run"]
    status, out, err = run("train-reader", *told)
    assert status == 0, err
    assert f"next: ance-ir read --dataset {collection} --reader {tmp_path / 'run'}" in out
    assert read_training_runs([tmp_path / "run"])[0].manifest["loss"] == "span and relevance"
    assert Reader.from_pretrained(tmp_path / "run", device="cpu").settings.pair_length == 48
    status, _, err = run("train-reader", *told, "--max-answer-length", 3)
    assert status == 2
    assert "model.settings.max_answer_length was 10, is 3" in err
    asked = ["read", "--dataset", collection, "--reader", f"mine={tmp_path / 'run'}", "--device", "cpu"]
    status, out, err = run(*asked, "--reader", "nearest-name", "--depth", 2, "--out", tmp_path / "answers.jsonl")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0].split() == ["reader", "EM", "F1"]
    assert [line.split()[0] for line in lines[2:4]] == ["mine", "nearest-name"]
    assert lines[3].split()[1] == "0.5000"
    assert lines[4] == "4 questions, the first 2 passages of bm25"
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 8
    status, _, err = run(*asked, "--system", "nothing")
    assert status == 2
    assert "ance-ir: error:" in err
