"""Adapters are trained alone beside a frozen base, saved alone, resumed exactly, and merged at the end."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

import ance_ir.models.loading.weight_files as weight_files
from ance_ir.cli.main import main
from ance_ir.datasets import Dataset, load_dataset
from ance_ir.errors import ModelError, UsageError
from ance_ir.files import read_json, write_json
from ance_ir.indexes import FirstP, index_documents
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.models.adapters.lora import Lora
from ance_ir.models.compute.precision import Precision
from ance_ir.training import TrainingSettings
from ance_ir.workflows import DenseTraining, Mining, RerankerTraining, train_on_dataset, train_reranker_on_dataset
from ance_ir.workflows.inferencer import _Loading
from tests.answering import write_language_model
from tests.processes import start_command
from tests.tiny import WORDS, backbone, bert_tokenizer, classifier, encoder, pair_tokenizer

peft = pytest.importorskip("peft")

pytestmark = [pytest.mark.slow, pytest.mark.integration]

OPTIONS: dict[str, Any] = {"pooling": "last", "similarity": "cosine", "passage_length": 48}
STEPS = {"steps": 6, "batch_size": 4, "refresh_every": 2, "learning_rate": 5e-3, "temperature": 0.05}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    draws = np.random.default_rng(0)
    with (folder / "corpus.jsonl").open("w") as stream:
        for number in range(30):
            stream.write(json.dumps({"docno": f"d{number}", "text": " ".join(draws.choice(WORDS, 8))}) + "\n")
    for split in ("", ".train"):
        (folder / f"queries{split}.tsv").write_text("".join(f"q{i}\twhat is {WORDS[20 + i]}\n" for i in range(12)))
        (folder / f"qrels{split}.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in range(12)))
    return folder


@pytest.fixture(scope="module")
def dataset(collection: Path) -> Dataset:
    return load_dataset(collection)


def opened(base: Path) -> DenseEncoder:
    return DenseEncoder.from_pretrained(base, device="cpu", **OPTIONS)


def trained(dataset: Dataset, base: Path, folder: Path, **how: Any) -> DenseEncoder:
    told = DenseTraining(**{"lora": Lora.parse("r=4,alpha=8"), "passages": FirstP(48), **how})
    return train_on_dataset(dataset, opened(base), folder, TrainingSettings(**STEPS), told)


@pytest.fixture(scope="module")
def first(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DenseEncoder]:
    """A folder with a base and a run from it, which nobody changes, and the model that was trained."""
    folder = tmp_path_factory.mktemp("first")
    return folder, trained(dataset, write_language_model(folder / "base"), folder / "run")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_the_adapter_moves_and_is_saved(dataset: Dataset, tmp_path: Path, dtype: torch.dtype) -> None:
    base = write_language_model(tmp_path / "base", dtype=dtype)
    before = AutoModel.from_pretrained(base).state_dict()
    model = trained(dataset, base, tmp_path / "run")
    after = {name.replace(".base_layer", ""): tensor for name, tensor in model.query_tower.backbone.state_dict().items()}
    assert all(torch.equal(after[name], tensor) and after[name].dtype == dtype for name, tensor in before.items())
    moved = [tensor for name, tensor in after.items() if ".lora_B." in name]
    assert len(moved) == 14 and all(tensor.abs().max() > 0 and tensor.dtype == torch.float32 for tensor in moved)
    checkpoint = tmp_path / "run" / "checkpoints" / "step-000004" / "model"
    numbers = sum(tensor.numel() for name, tensor in after.items() if ".lora_" in name)
    assert sum(file.stat().st_size for file in checkpoint.rglob("*")) < 4 * numbers + 8_000
    assert set(load_file(checkpoint / "adapter_model.safetensors")) == {
        "base_model.model." + name.replace(".default", "") for name in after if ".lora_" in name
    }


def test_the_trained_adapter_is_pefts_and_the_model_is_merged(first: tuple[Path, DenseEncoder]) -> None:
    folder, model = first
    base, run = folder / "base", folder / "run"
    texts = [" ".join(WORDS[i : i + 5]) for i in range(20)]
    vectors = model.encode_passages(texts)
    assert np.abs(vectors - opened(base).encode_passages(texts)).max() > 0.01
    for saved in (run, run / "adapter"):
        again = DenseEncoder.from_pretrained(saved, device="cpu")
        assert again.settings == model.settings
        np.testing.assert_allclose(again.encode_passages(texts), vectors, rtol=1e-5, atol=1e-5)
    merged = DenseEncoder.from_pretrained(run, device="cpu")
    assert not any("lora" in name for name in merged.state_dict())
    theirs = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(base), run / "adapter").eval()
    ids = torch.tensor([model.tokenizer.passages(texts)[0]])
    with torch.no_grad():
        expected = torch.nn.functional.normalize(theirs(ids).last_hidden_state[0, -1], dim=-1)
    np.testing.assert_allclose(vectors[0], expected.numpy(), rtol=1e-5, atol=1e-5)


def test_two_towers(dataset: Dataset, tmp_path: Path) -> None:
    encoder(shared=False).save(tmp_path / "base")
    model = DenseEncoder.from_pretrained(tmp_path / "base", device="cpu")
    how = DenseTraining(lora=Lora(r=2, targets=("query", "value")), negatives="random", passages=FirstP(32))
    train_on_dataset(dataset, model, tmp_path / "run", TrainingSettings(**STEPS), how)
    again = DenseEncoder.from_pretrained(tmp_path / "run" / "adapter", device="cpu")
    for encode in ("encode_queries", "encode_passages"):
        np.testing.assert_allclose(getattr(again, encode)(WORDS), getattr(model, encode)(WORDS), rtol=1e-5, atol=1e-5)
    peft.PeftModel.from_pretrained(AutoModel.from_pretrained(tmp_path / "base" / "passage"), tmp_path / "run" / "adapter" / "passage")


def command(collection: Path, base: Path, out: Path, *more: str) -> list[str]:
    told = ["train", "--dataset", collection, "--model", base, "--lora", "r=4,alpha=8,targets=q_proj+v_proj", "--negatives", "ance"]
    told += ["--steps", 8, "--refresh-every", 2, "--batch-size", 4, "--learning-rate", "5e-3", "--passages", "firstp:48", "--out", out]
    return [*map(str, told), "--text", "pooling=last", "--text", "similarity=cosine", "--passage-length", "48", "--device", "cpu", *more]


def test_resumed_exactly_after_being_killed(collection: Path, tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base", dtype=torch.bfloat16)
    assert main(command(collection, base, tmp_path / "whole")) == 0
    process = start_command(*command(collection, base, tmp_path / "killed"))
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "killed" / "checkpoints" / "step-000004").exists() and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        process.kill()
        process.join()
    assert not (tmp_path / "killed" / "model").exists(), "killed before its end"
    assert main(command(collection, base, tmp_path / "killed")) == 0
    for file in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        one, other = (load_file(tmp_path / run / file) for run in ("whole", "killed"))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert main(command(collection, base, tmp_path / "killed")) == 0, "an ended run is opened again"


def test_with_an_inferencer(collection: Path, tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base")
    assert main(command(collection, base, tmp_path / "run", "--inferencers", "1")) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any("refresh" in line for line in lines)


@pytest.mark.parametrize("precision", [None, "bfloat16"])
def test_an_inferencer_opens_the_base_once(
    first: tuple[Path, DenseEncoder], monkeypatch: pytest.MonkeyPatch, precision: Precision | None
) -> None:
    folder, _ = first
    read, opens = weight_files._read, []
    monkeypatch.setattr(weight_files, "_read", lambda path: opens.append(path) or read(path))
    load = _Loading("cpu", precision)
    steps = [folder / "run" / "checkpoints" / f"step-00000{step}" / "model" for step in (2, 4)]
    models = [(model.fingerprint(), model.encode_passages(WORDS)) for model in map(load, steps)]
    assert opens == [folder / "base"]
    assert np.abs(models[0][1] - models[1][1]).max() > 1e-3
    for step, (fingerprint, vectors) in zip(steps, models, strict=True):
        opened = DenseEncoder.from_pretrained(step, device="cpu", precision=precision)
        assert opened.fingerprint() == fingerprint
        np.testing.assert_array_equal(opened.encode_passages(WORDS), vectors)


def test_an_index_that_an_inferencer_keeps_names_its_checkpoint(first: tuple[Path, DenseEncoder], dataset: Dataset, tmp_path: Path) -> None:
    load = _Loading("cpu", None)
    for step in (2, 4):
        folder = first[0] / "run" / "checkpoints" / f"step-00000{step}" / "model"
        index = index_documents(tmp_path / f"{step}.ance", load(folder), dataset.documents(), FirstP(48))
        assert index.manifest["encoding"]["model"] == str(folder.resolve())
        assert index.model(device="cpu").fingerprint() == index.manifest["encoding"]["fingerprint"]


@pytest.mark.parametrize("fails", [False, True])
def test_saving_copies_no_model_and_leaves_it_as_it_was(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    model = trained(dataset, write_language_model(tmp_path / "base", dtype=torch.bfloat16), tmp_path / "run")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    places = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    monkeypatch.setattr(DenseEncoder, "__deepcopy__", lambda self, memo: pytest.fail("the model was copied"), raising=False)
    if fails:
        monkeypatch.setattr(DenseEncoder, "_write", lambda self, folder: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.save(tmp_path / "x")
    else:
        model.save(tmp_path / "x")
        saved, at_end = (load_file(folder / "model.safetensors") for folder in (tmp_path / "x", tmp_path / "run" / "model"))
        assert all(torch.equal(saved[name], tensor) for name, tensor in at_end.items())
        base = AutoModel.from_pretrained(tmp_path / "base").state_dict()
        assert not all(torch.equal(saved[name], tensor) for name, tensor in base.items())
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert places == {name: tensor.data_ptr() for name, tensor in after.items()}
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]
    model.save_adapter(tmp_path / "adapter")


def test_the_scale_is_part_of_the_fingerprint(first: tuple[Path, DenseEncoder], tmp_path: Path) -> None:
    path = shutil.copytree(first[0] / "run" / "adapter", tmp_path / "adapter") / "adapter_config.json"
    before = DenseEncoder.from_pretrained(path.parent, device="cpu")
    write_json(path, {**read_json(path), "lora_alpha": 16})
    after = DenseEncoder.from_pretrained(path.parent, device="cpu")
    assert np.abs(before.encode_queries(WORDS) - after.encode_queries(WORDS)).max() > 1e-3
    assert before.fingerprint() != after.fingerprint()
    assert before.fingerprints()[1] != after.fingerprints()[1]


def test_in_8_bits(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    encoder(normalize=True).save(tmp_path / "base")
    model = DenseEncoder.from_pretrained(tmp_path / "base", device="cpu")
    before = model.encode_passages(WORDS)
    how = DenseTraining(lora=Lora(r=4), negatives="random", passages=FirstP(32))
    train_on_dataset(dataset, model, tmp_path / "run", TrainingSettings(**{**STEPS, "learning_rate": 5e-2}), how)
    found = DenseEncoder.from_pretrained(tmp_path / "run" / "adapter", device="cpu", precision="int8").encode_passages(WORDS)
    assert (found * model.encode_passages(WORDS)).sum(1).min() > 0.99 > (before * model.encode_passages(WORDS)).sum(1).mean()


@pytest.mark.parametrize("lora", [None, Lora(r=2)])
def test_a_merged_adapter_is_trained_further(first: tuple[Path, DenseEncoder], dataset: Dataset, tmp_path: Path, lora: Lora | None) -> None:
    model = DenseEncoder.from_pretrained(first[0] / "run" / "adapter", device="cpu", merge_adapter=True)
    before = model.encode_passages(WORDS)
    how = DenseTraining(lora=lora, passages=FirstP(48), negatives="random")
    train_on_dataset(dataset, model, tmp_path / "second", TrainingSettings(**STEPS), how)
    assert np.abs(model.encode_passages(WORDS) - before).max() > 1e-3
    again = DenseEncoder.from_pretrained(tmp_path / "second" / ("model" if lora is None else "adapter"), device="cpu")
    np.testing.assert_allclose(again.encode_passages(WORDS), model.encode_passages(WORDS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("targets", "layers"), [(("all-linear",), 6), (("dense", "query"), 4)])
def test_what_is_never_used_gets_no_adapter(tmp_path: Path, targets: tuple[str, ...], layers: int) -> None:
    backbone().save_pretrained(tmp_path / "base")
    bert_tokenizer().save_pretrained(tmp_path / "base")
    model = DenseEncoder.from_pretrained(tmp_path / "base", device="cpu", pooling="mean", similarity="dot")
    assert model.query_tower.backbone.pooler is not None
    model.add_adapter(Lora(r=2, targets=targets))
    names = {name for name in model.query_tower.state_dict() if ".lora_" in name}
    assert len(names) == 2 * 2 * layers and not any("pooler" in name for name in names)
    model.save_adapter(tmp_path / "x")
    assert DenseEncoder.from_pretrained(tmp_path / "x", device="cpu").fingerprint() == model.fingerprint()
    bare = DenseEncoder.from_pretrained(tmp_path / "base", device="cpu", pooling="mean", similarity="dot", layers=0)
    with pytest.raises(UsageError, match="has none"):
        bare.add_adapter(Lora())


def test_a_reranker_opens_its_base_as_the_run_did(tmp_path: Path) -> None:
    classifier().save_pretrained(tmp_path / "base")
    pair_tokenizer("bert").save_pretrained(tmp_path / "base")
    made = peft.get_peft_model(classifier(), peft.LoraConfig(target_modules=["query"], init_lora_weights=False))
    made.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    made.save_pretrained(tmp_path / "first")
    model = CrossEncoder.from_pretrained(tmp_path / "first", device="cpu", layers=1, merge_adapter=True)
    model.add_adapter(Lora(r=2))
    model.save_adapter(tmp_path / "second")
    again = CrossEncoder.from_pretrained(tmp_path / "second", device="cpu")
    np.testing.assert_allclose(again.score(WORDS, WORDS), model.score(WORDS, WORDS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("more", [{"freeze": 1}, {"layer_decay": 0.5}, {"accumulation": 2}, {"gradient_checkpointing": True}])
def test_with_settings_of_layers_and_batches(dataset: Dataset, tmp_path: Path, more: dict[str, Any]) -> None:
    base = write_language_model(tmp_path / "base")
    how = DenseTraining(lora=Lora(r=4), passages=FirstP(48), negatives="random")
    model = train_on_dataset(dataset, opened(base), tmp_path / "run", TrainingSettings(**STEPS, **more), how)
    moved = {
        int(name.split(".layers.")[1][0]) for name, tensor in model.state_dict().items() if ".lora_B." in name and tensor.abs().max() > 0
    }
    assert moved == ({1} if "freeze" in more else {0, 1})
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == {
        name for name, _ in model.named_parameters() if ".lora_" in name
    }


def test_grad_cache_gives_the_same_adapter(dataset: Dataset, tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base")
    models = [trained(dataset, base, tmp_path / str(cached), negatives="random", grad_cache=cached) for cached in (False, True)]
    one, other = (model.state_dict() for model in models)
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


def test_one_of_two_towers(dataset: Dataset, tmp_path: Path) -> None:
    encoder(shared=False).save(tmp_path / "base")
    model = DenseEncoder.from_pretrained(tmp_path / "base", device="cpu")
    how = DenseTraining(lora=Lora(r=2), train_tower="query", passages=FirstP(32))
    train_on_dataset(dataset, model, tmp_path / "run", TrainingSettings(**STEPS), how)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["refresh"]["documents_encoded"] for line in lines if "refresh" in line] == [30, 0, 0]
    whole, base = (DenseEncoder.from_pretrained(tmp_path / name, device="cpu") for name in ("run", "base"))
    assert whole.fingerprints()[1] == base.fingerprints()[1]
    assert whole.fingerprint() != base.fingerprint()


def test_a_reranker_that_answers(dataset: Dataset, tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base", dtype=torch.bfloat16)
    model = CrossEncoder.from_pretrained(base, device="cpu")
    how = RerankerTraining(lora=Lora(r=4), negatives="random")
    train_reranker_on_dataset(dataset, model, tmp_path / "run", TrainingSettings(**STEPS), how)
    assert model.precision == "bfloat16"
    again = CrossEncoder.from_pretrained(tmp_path / "run" / "adapter", device="cpu")
    texts = [" ".join(WORDS[i : i + 5]) for i in range(20)]
    np.testing.assert_allclose(again.score(texts, texts), model.score(texts, texts), rtol=1e-5, atol=1e-5)
    assert np.abs(model.score(texts, texts) - CrossEncoder.from_pretrained(base, device="cpu").score(texts, texts)).max() > 0.01
    assert CrossEncoder.from_pretrained(tmp_path / "run", device="cpu").precision == "bfloat16"


def test_another_base_is_refused_by_name(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    base = write_language_model(tmp_path / "base")
    trained(dataset, base, tmp_path / "run")
    write_language_model(tmp_path / "base", seed=1)
    with pytest.raises(ModelError, match=f"{base}, whose weights are others"):
        DenseEncoder.from_pretrained(tmp_path / "run" / "adapter", device="cpu")
    with pytest.raises(ModelError, match="adapter holds an encoder"):
        CrossEncoder.from_pretrained(tmp_path / "run" / "adapter", device="cpu")
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=f"its base does not open.*{base}"):
        DenseEncoder.from_pretrained(tmp_path / "run" / "adapter", device="cpu")


def test_what_cannot_be_trained(dataset: Dataset, tmp_path: Path) -> None:
    base = write_language_model(tmp_path / "base")
    with pytest.raises(UsageError, match=r"'query'.*q_proj"):
        trained(dataset, base, tmp_path / "run", lora=Lora(targets=("q_proj", "query")))
    assert not (tmp_path / "run").exists()
    model = opened(base)
    model.add_adapter(Lora(r=2))
    with pytest.raises(UsageError, match="merge_adapter"):
        model.add_adapter(Lora(r=2))
    for target in ("layers", "input_layernorm", "embed_tokens", "self_attn"):
        with pytest.raises(UsageError, match=f"{target!r}.*q_proj"):
            opened(base).add_adapter(Lora(targets=("q_proj", target)))
    opened(base).add_adapter(Lora(r=32))
    with pytest.raises(UsageError, match="32 in this qwen3, not 33"):
        opened(base).add_adapter(Lora(r=33))
    with pytest.raises(UsageError, match=r"reuse x\.ance"):
        DenseTraining(lora=Lora(), mining=Mining(reuse="x.ance"))
    with pytest.raises(UsageError, match="output layer"):
        CrossEncoder.from_pretrained(base, device="cpu").add_adapter(Lora(targets=("lm_head",)))
    fresh = DenseEncoder.from_pretrained(base, device="cpu", fresh_head="ance")
    with pytest.raises(UsageError, match="fresh head"):
        fresh.add_adapter(Lora())
    adapter = peft.get_peft_model(AutoModel.from_pretrained(base), peft.LoraConfig(target_modules=["q_proj"]))
    adapter.peft_config["default"].base_model_name_or_path = str(base)
    adapter.save_pretrained(tmp_path / "other")
    with pytest.raises(UsageError, match="not trained further; merge_adapter"):
        train_on_dataset(dataset, opened(tmp_path / "other"), tmp_path / "run", TrainingSettings(**STEPS), negatives="random")


@pytest.mark.parametrize("text", ["r=0", "rank=3", "r=x", "targets=", "dropout=1", "r", "alpha=-1", "r=8,r=9", "targets=all-linear+q_proj"])
def test_settings_that_cannot_be(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        Lora.parse(text)
    assert main(["train", "--dataset", "x", "--model", "y", "--steps", "1", "--out", "z", "--lora", text]) == 2
    assert capsys.readouterr().err.count("\n") < 6


def test_settings() -> None:
    assert Lora.parse("r=8,alpha=16,targets=all-linear") == Lora(r=8, alpha=16)
    assert Lora.parse("targets=q_proj+v_proj, dropout=.1") == Lora(targets=("q_proj", "v_proj"), dropout=0.1)
