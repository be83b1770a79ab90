"""Cards of trained models, read by the hub's own library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results

from ance_ir import load_dataset
from ance_ir.errors import ModelError
from ance_ir.files import read_json
from ance_ir.models import CrossEncoder, DenseEncoder, Reader
from ance_ir.models.loading.provenance import Training, without_folders
from ance_ir.models.loading.source import hub_name
from ance_ir.training import TrainingSettings, read_metrics
from ance_ir.workflows import train_on_dataset, train_reranker_on_dataset
from tests.tiny import backbone, bert_tokenizer, cross_encoder, encoder, reader

SETTINGS = TrainingSettings(steps=4, batch_size=4, refresh_every=2, seed=7)


def checked(folder: Path) -> ModelCard:
    """The card of a folder, of which nothing is lost when the hub's library reads and writes it."""
    card = ModelCard.load(folder / "README.md")
    again = ModelCard(str(card))
    assert again.data.to_dict() == card.data.to_dict() == metadata_load(folder / "README.md")
    return card


def test_the_card_of_an_encoder_tells_of_its_run(collection: Path, tmp_path: Path) -> None:
    model = encoder(head=8)
    model.name = str(tmp_path / "somewhere" / "start")
    options: dict[str, Any] = {"negatives": "ance", "warm_up": "bm25", "dev_split": "test"}
    train_on_dataset(load_dataset(collection), model, tmp_path / "run", replace(SETTINGS, select="last"), **options)
    card = checked(tmp_path / "run" / "model")
    name, results = model_index_to_eval_results(card.data.to_dict()["model-index"])
    dev = read_metrics(tmp_path / "run" / "metrics.jsonl")[2]["dev"]
    assert dev["step"] == 2
    assert name
    assert {result.metric_name: result.metric_value for result in results} == {
        f"{measure}, after 2 of 4 steps": value for measure, value in dev.items() if measure != "step"
    }
    assert {(result.dataset_name, result.dataset_split) for result in results} == {(collection.name, "test")}
    data = f"| data | {collection.name}, split train |"
    for row in ("| seed | 7 |", "| negatives.name | bm25 -> ance |", data, "| started from | `start` |"):
        assert row in card.text, row
    assert "mined 2 times" in card.text
    assert str(tmp_path) not in card.content
    training = read_json(tmp_path / "run" / "model" / "training.json")
    assert training["steps"] == 4
    opened = DenseEncoder.from_pretrained(tmp_path / "run", device="cpu")
    opened.save(tmp_path / "copy", licence="apache-2.0")
    assert read_json(tmp_path / "copy" / "training.json") == training
    copy = checked(tmp_path / "copy")
    assert copy.data.license == "apache-2.0"
    assert copy.data.eval_results == card.data.eval_results
    DenseEncoder.from_pretrained(tmp_path / "copy", device="cpu").save(tmp_path / "third")
    assert checked(tmp_path / "third").data.license == "apache-2.0"
    (tmp_path / "copy" / "training.json").write_text('{"steps": "many"}')
    with pytest.raises(ModelError, match=r"training\.json"):
        DenseEncoder.from_pretrained(tmp_path / "copy")


def test_the_card_of_a_reranker_has_the_measures_of_its_last_step(collection: Path, tmp_path: Path) -> None:
    train_reranker_on_dataset(load_dataset(collection), cross_encoder(), tmp_path / "run", SETTINGS, negatives="random", dev_split="test")
    card = checked(tmp_path / "run" / "model")
    assert card.data.pipeline_tag == "text-ranking"
    assert all("after" not in result.metric_name for result in card.data.eval_results)
    assert len(card.data.eval_results) > 0
    assert CrossEncoder.from_pretrained(tmp_path / "run", device="cpu").origin.provenance.training is not None


def test_the_card_of_a_reader(tmp_path: Path) -> None:
    reader().save(tmp_path / "x")
    assert checked(tmp_path / "x").data.library_name == "transformers"
    Reader.from_pretrained(tmp_path / "x", device="cpu").save(tmp_path / "y")


def test_a_checkpoint_tells_of_its_own_training(collection: Path, tmp_path: Path) -> None:
    dataset = load_dataset(collection)
    train_on_dataset(dataset, encoder(), tmp_path / "first", SETTINGS, negatives="random")
    model = DenseEncoder.from_pretrained(tmp_path / "first", device="cpu")
    train_on_dataset(
        dataset, model, tmp_path / "second", TrainingSettings(steps=6, batch_size=3, freeze=0, refresh_every=2), negatives="random"
    )
    for folder, steps in (("checkpoints/step-000002/model", 2), ("checkpoints/step-000004/model", 4), ("model", 6)):
        training = read_json(tmp_path / "second" / folder / "training.json")
        assert (training["steps"], training["settings"]["batch_size"], training["settings"]["freeze"]) == (steps, 3, 0)


def test_the_card_has_what_training_itself_noted(collection: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=4, batch_size=2, refresh_every=2, learning_rate=0.5)
    train_on_dataset(load_dataset(collection), encoder(), tmp_path / "run", settings, negatives="in-batch", dev_split="test")
    noted = read_json(tmp_path / "run" / "run.json")["notices"]
    assert any("saved is the model after step 4" in notice or "nothing was learnt" in notice for notice in noted)
    assert len(read_json(tmp_path / "run" / "model" / "training.json")["notices"]) == len(noted)


def test_what_was_warned_of_while_a_model_was_opened_is_noted(collection: Path, tmp_path: Path) -> None:
    backbone().save_pretrained(tmp_path / "bare")
    bert_tokenizer().save_pretrained(tmp_path / "bare")
    model = DenseEncoder.from_pretrained(tmp_path / "bare", device="cpu", layers=1)
    train_on_dataset(load_dataset(collection), model.with_settings(query_length=8), tmp_path / "run", SETTINGS, negatives="random")
    for file in ("run.json", "model/training.json"):
        assert any("pooling" in notice and "assumed" in notice for notice in read_json(tmp_path / "run" / file)["notices"])


def test_base_and_datasets_of_the_hub() -> None:
    manifest = {
        "settings": {"steps": 1, "negatives": 2},
        "model": {"name": "BAAI/bge-small-en"},
        "negatives": {"name": "mix(2*/home/me/a.run, random)"},
        "dataset": {"sets": [{"name": "pets", "split": "train", "weight": 2.0}, {"name": "own", "split": "dev", "weight": 1.0}]},
        "environment": {
            "torch": "2",
            "place": {"dataset": ["hf:some/pets/part@abc", "/home/me/own"]},
            "processes": {"trainers": 2, "inferencers": 0},
        },
    }
    training = Training.of_run(manifest, [])
    assert training.versions == {"torch": "2"}
    assert [one.get("hub") for one in training.datasets] == ["some/pets", None]
    assert training.settings["negatives.name"] == "mix(2*a.run, random)"
    assert training.settings["negatives_per_query"] == 2
    model = encoder()
    model.was_trained(training)
    data = ModelCard(model.card.filled(model._described())).data
    assert (data.base_model, data.datasets) == ("BAAI/bge-small-en", ["some/pets"])
    assert "/home/me" not in model.card.filled(model._described())


def test_names_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "x").mkdir(parents=True)
    expected = {
        "all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2",
        "BAAI/bge-m3": "BAAI/bge-m3",
        "hf:BAAI/bge-m3@main": "BAAI/bge-m3",
        "runs/x": None,
        str(tmp_path): None,
        "tiny": None,
    }
    assert {name: hub_name(name) for name in expected} == expected
    assert without_folders("bm25 >> ~/i/x.ance, BAAI/bge-m3 of https://a.b/c") == "bm25 >> x.ance, BAAI/bge-m3 of https://a.b/c"


def test_somebody_elses_file_of_the_same_name_is_left_alone(tmp_path: Path) -> None:
    backbone("bert").save_pretrained(tmp_path / "x")
    bert_tokenizer().save_pretrained(tmp_path / "x")
    (tmp_path / "x" / "training.json").write_text("[1]")
    assert DenseEncoder.from_pretrained(tmp_path / "x", pooling="cls", similarity="dot").origin.provenance.training is None
