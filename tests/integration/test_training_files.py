"""Training files that we write, opened by the libraries that train with them, or as their documentation says they are read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentence_transformers
import torch
from sentence_transformers.sentence_transformer import losses

from ance_ir.datasets import convert, load_dataset
from tests.tiny import encoder

hugging_face = pytest.importorskip("datasets")
pytestmark = pytest.mark.integration

DOCUMENTS = [{"docno": str(number), "title": f"T{number}", "text": f"the cat runs {'fast ' * number}"} for number in range(6)]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    (folder / "queries.train.tsv").write_text("".join(f"{qid}\twhat runs {qid}\n" for qid in range(4)))
    (folder / "qrels.train.txt").write_text("".join(f"{qid} 0 {qid} 1\n" for qid in range(4)))
    scores = {"positive_scores": [3.5], "negative_scores": [1, -0.5]}
    rows = [{"qid": str(qid), "positives": [str(qid)], "negatives": [str((qid + 1) % 6), str((qid + 2) % 6)], **scores} for qid in range(4)]
    (folder / "instances.train.jsonl").write_text("".join(json.dumps(row | {"prompt": "find: "}) + "\n" for row in rows))
    return folder


def loaded(path: Path, tmp_path: Path) -> Any:
    return hugging_face.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "hf"))


@pytest.mark.parametrize("make", [losses.MultipleNegativesRankingLoss, losses.MarginMSELoss, losses.DistillKLDivLoss])
def test_sentence_transformers_trains_with_them(make: Callable[..., Any], source: Path, tmp_path: Path) -> None:
    convert(load_dataset(source), "sentence-transformers", tmp_path / "x.jsonl", drop=["docno", "qid", "title", "corpus", "prompt"])
    rows = loaded(tmp_path / "x.jsonl", tmp_path)
    assert rows.column_names == ["anchor", "positive", "negative_1", "negative_2", "scores"]
    encoder().save(tmp_path / "model")
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "model"), device="cpu")
    before = [parameter.clone() for parameter in model.parameters()]
    how = sentence_transformers.SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=2,
        per_device_train_batch_size=2,
        learning_rate=0.01,
        logging_steps=1,
        report_to="none",
        use_cpu=True,
    )
    trainer = sentence_transformers.SentenceTransformerTrainer(model=model, args=how, train_dataset=rows, loss=make(model))
    trainer.train()
    values = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(values) == 2
    assert all(value > 0 and math.isfinite(value) for value in values)
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_tevatron(source: Path, tmp_path: Path) -> None:
    """Version 1: ``title`` and ``text`` of ``positive_passages`` and ``negative_passages`` are joined, ``score`` is a distillation's."""
    convert(load_dataset(source), "tevatron", tmp_path / "x.jsonl", drop=["corpus", "prompt"])
    rows = loaded(tmp_path / "x.jsonl", tmp_path)
    assert rows.column_names == ["query_id", "query", "positive_passages", "negative_passages"]
    row = rows[1]
    assert (row["query_id"], row["query"]) == ("1", "what runs 1")
    assert row["positive_passages"] == [{"docid": "1", "title": "T1", "text": DOCUMENTS[1]["text"], "score": 3.5}]
    assert [(one["docid"], one["score"]) for one in row["negative_passages"]] == [("2", 1.0), ("3", -0.5)]


def test_tevatron_of_version_2(source: Path, tmp_path: Path) -> None:
    """The corpus is addressed by ``docid``; a record has ``query_text`` and the ids of its documents."""
    convert(load_dataset(source), "tevatron-v2", tmp_path / "x", drop=["prompt", "scores"])
    corpus = loaded(tmp_path / "x" / "corpus.jsonl", tmp_path)
    places = {docid: place for place, docid in enumerate(corpus["docid"])}
    row = loaded(tmp_path / "x" / "train.jsonl", tmp_path)[3]
    assert (row["query_id"], row["query_text"], row["positive_document_ids"]) == ("3", "what runs 3", ["3"])
    assert [corpus[places[docid]]["title"] for docid in row["negative_document_ids"]] == ["T4", "T5"]


def test_flagembedding(source: Path, tmp_path: Path) -> None:
    """``pos`` and ``neg`` are lists of texts; for distillation ``pos_scores`` and ``neg_scores`` are lists of numbers, as long."""
    convert(load_dataset(source), "flagembedding", tmp_path / "x.jsonl", drop=["docno", "qid", "title", "corpus"])
    rows = loaded(tmp_path / "x.jsonl", tmp_path)
    assert set(rows.column_names) == {"query", "pos", "neg", "pos_scores", "neg_scores", "prompt"}
    for number, row in enumerate(rows):
        assert (row["query"], row["pos"], row["prompt"]) == (f"what runs {number}", [DOCUMENTS[number]["text"]], "find: ")
        assert (row["pos_scores"], row["neg_scores"], len(row["neg"])) == ([3.5], [1.0, -0.5], 2)


def test_dpr(source: Path, tmp_path: Path) -> None:
    """One list; ``text`` and ``title`` of ``positive_ctxs``, ``negative_ctxs`` and ``hard_negative_ctxs``, all of which are there."""
    convert(load_dataset(source), "dpr", tmp_path / "x.json", drop=["qid", "corpus", "prompt"])
    records = json.loads((tmp_path / "x.json").read_text())
    assert [record["question"] for record in records] == [f"what runs {number}" for number in range(4)]
    for number, record in enumerate(records):
        assert [(one["title"], one["text"]) for one in record["positive_ctxs"]] == [(f"T{number}", DOCUMENTS[number]["text"])]
        assert (len(record["hard_negative_ctxs"]), record["negative_ctxs"], record["answers"]) == (2, [], [])


def test_colbert(source: Path, tmp_path: Path) -> None:
    """Pids are the numbers of lines; a third column is the title; an example is a list of qid and pids with scores, the positive first."""
    convert(load_dataset(source), "colbert", tmp_path / "x", drop=["prompt"])
    collection = [line.rstrip("\n").split("\t") for line in (tmp_path / "x" / "collection.tsv").open()]
    assert [int(pid) for pid, *_ in collection] == list(range(6))
    assert collection[2] == ["2", DOCUMENTS[2]["text"], "T2"]
    queries = dict(line.rstrip("\n").split("\t") for line in (tmp_path / "x" / "queries.train.tsv").open())
    assert {int(qid): text for qid, text in queries.items()} == {number: f"what runs {number}" for number in range(4)}
    examples = [json.loads(line) for line in (tmp_path / "x" / "triples.train.jsonl").open()]
    assert examples[1] == [1, [1, 3.5], [2, 1.0], [3, -0.5]]
