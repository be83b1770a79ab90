from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ance_ir.errors import ModelError
from ance_ir.models import DenseEncoder
from ance_ir.models.card import Card
from ance_ir.models.dense.pooling import POOLINGS
from tests.tiny import Kind, backbone, bert_tokenizer, cross_encoder, encoder

TEXTS = ["the cat sleeps", "", "Dense Retrieval", "who sings when the moon is red", "日本"]
TEXT_SETTINGS = {
    "query_length": 9,
    "passage_length": 21,
    "fields": ("url", "title", "text"),
    "separator": "</s>",
    "lower_case": True,
    "max_characters": 500,
    "query_prefix": "query: ",
    "passage_prefix": "passage: ",
}


def assert_same(loaded: DenseEncoder, model: DenseEncoder) -> None:
    assert loaded.settings == model.settings
    assert loaded.shared is model.shared
    assert loaded.similarity == model.similarity
    assert loaded.fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(loaded.encode_queries(TEXTS), model.encode_queries(TEXTS))
    np.testing.assert_array_equal(loaded.encode_passages(TEXTS), model.encode_passages(TEXTS))


@pytest.mark.parametrize(
    ("kind", "pooling", "head", "normalize", "shared"),
    [
        *itertools.product(("bert", "roberta"), ("cls", "mean"), (None, 12), (False, True), (False, True)),
        *(("bert", pooling, 12, True, True) for pooling in POOLINGS if pooling not in ("cls", "mean")),
    ],
)
def test_a_saved_model_comes_back(tmp_path: Path, kind: Kind, pooling: str, head: int | None, normalize: bool, shared: bool) -> None:
    text = TEXT_SETTINGS if pooling == "cls" else {}
    model = encoder(kind, pooling=pooling, head=head, normalize=normalize, shared=shared, text=text)
    model.save(tmp_path / "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
    loaded = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert_same(loaded, model)
    assert not loaded.training
    assert loaded.name == str(tmp_path / "x")
    assert model.fingerprint() in (tmp_path / "x" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("head", [None, 12])
def test_a_model_of_half_precision_comes_back(tmp_path: Path, dtype: torch.dtype, head: int | None) -> None:
    model = encoder(head=head).to(dtype)
    model.save(tmp_path / "x")
    assert_same(DenseEncoder.from_pretrained(tmp_path / "x", device="cpu"), model)


def test_saving_takes_the_place_of_the_old_checkpoint(tmp_path: Path) -> None:
    encoder(shared=False, head=8).save(tmp_path / "x")
    model = encoder(seed=5)
    model.save(tmp_path / "x")
    assert not (tmp_path / "x" / "query").exists()
    assert_same(DenseEncoder.from_pretrained(tmp_path / "x", device="cpu"), model)


@pytest.mark.parametrize("old", [False, True])
def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    if old:
        encoder().save(tmp_path / "x")

    def fail(*_: Any) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr(Card, "filled", fail)
    with pytest.raises(OSError, match="no space"):
        encoder(seed=5).save(tmp_path / "x")
    assert [entry.name for entry in tmp_path.iterdir()] == (["x"] if old else [])
    if old:
        assert_same(DenseEncoder.from_pretrained(tmp_path / "x", device="cpu"), encoder())


def test_text_settings_can_be_changed_while_loading(tmp_path: Path) -> None:
    encoder().save(tmp_path / "x")
    loaded = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", query_length=7, query_prefix="q ")
    assert loaded.settings == encoder(text={"query_length": 7, "query_prefix": "q "}).text


def bare_backbone(folder: Path, **options: Any) -> Path:
    backbone().__class__(backbone().config, **options).save_pretrained(folder)
    bert_tokenizer().save_pretrained(folder)
    return folder


def test_a_bare_backbone_is_mean_pooled_and_normalised(tmp_path: Path) -> None:
    model = DenseEncoder.from_pretrained(bare_backbone(tmp_path / "x"), device="cpu")
    assert (model.query_tower.pooling, model.similarity, model.shared) == ("mean", "cosine", True)
    assert model.query_tower.head is None
    assert (model.settings.query_length, model.settings.passage_length) == (64, 64)
    np.testing.assert_allclose(np.linalg.norm(model.encode_queries(TEXTS), axis=1), 1, rtol=1e-5)


def test_a_backbone_without_a_pooler_has_one_fingerprint(tmp_path: Path) -> None:
    folder = bare_backbone(tmp_path / "x", add_pooling_layer=False)
    before = torch.random.get_rng_state()
    first, second = (DenseEncoder.from_pretrained(folder, device="cpu") for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any("pooler" in name for name in first.state_dict()), "none is made up"
    np.testing.assert_array_equal(first.encode_queries(TEXTS), second.encode_queries(TEXTS))
    assert first.fingerprint() == second.fingerprint()


def test_a_missing_model_names_what_to_do() -> None:
    with pytest.raises(
        ModelError, match=r"no model 'no/such-model': no such folder, not in the Hugging Face cache .*`hf download no/such-model`"
    ):
        DenseEncoder.from_pretrained("no/such-model")
    with pytest.raises(ModelError, match="no model '/no/such/folder'"):
        DenseEncoder.from_pretrained(Path("/no/such/folder"))


Damage = Callable[[Path], object]


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")


def without(path: Path, key: str) -> None:
    weights = load_file(path)
    save_file({name: value for name, value in weights.items() if name != key}, path)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), r"config\.json is missing"),
    "broken settings": (lambda folder: (folder / "ance_ir.json").write_text("{", encoding="utf-8"), "ance_ir.json: expected JSON"),
    "newer format": (
        lambda folder: rewrite(folder / "ance_ir.json", lambda value: {**value, "format": 2}),
        "format 2 is not 1; a newer version of this package wrote it",
    ),
    "settings without towers": (
        lambda folder: rewrite(folder / "ance_ir.json", lambda value: {"format": 1, "text": value["text"]}),
        "does not load: 'towers'",
    ),
    "unknown text setting": (
        lambda folder: rewrite(folder / "ance_ir.json", lambda value: {**value, "text": {**value["text"], "colour": 1}}),
        "colour",
    ),
    "impossible text setting": (
        lambda folder: rewrite(folder / "ance_ir.json", lambda value: {**value, "text": {**value["text"], "query_length": 1}}),
        "does not load: lengths count the special tokens",
    ),
    "broken modules": (lambda folder: (folder / "modules.json").write_text("", encoding="utf-8"), "modules.json: expected JSON"),
    "unknown module": (
        lambda folder: rewrite(folder / "modules.json", lambda value: [*value, {"path": "x", "type": "sentence_transformers.models.CNN"}]),
        "LayerNorm, CNN; ",
    ),
    "unknown pooling": (
        lambda folder: rewrite(folder / "1_Pooling" / "config.json", lambda value: {"pooling_mode_median": True}),
        r"1_Pooling.*median",
    ),
    "two poolings": (
        lambda folder: rewrite(folder / "1_Pooling" / "config.json", lambda value: {**value, "pooling_mode_cls_token": True}),
        "64 dimensions.* 32",
    ),
    "no pooling folder": (lambda folder: (folder / "1_Pooling" / "config.json").unlink(), r"1_Pooling/config\.json"),
    "modules in another order": (
        lambda folder: rewrite(folder / "modules.json", lambda value: [*value[:2], value[3], value[2]]),
        "32 dimensions.* 8",
    ),
    "no layer norm": (
        lambda folder: (folder / "3_LayerNorm" / "model.safetensors").unlink(),
        "3_LayerNorm: no weights; one of model.safetensors, ",
    ),
    "no dense": (
        lambda folder: rewrite(folder / "modules.json", lambda value: [module for module in value if "Dense" not in module["type"]]),
        "32 dimensions.* 8",
    ),
    "dense with silu": (
        lambda folder: rewrite(folder / "2_Dense" / "config.json", lambda value: {**value, "activation_function": "torch.nn.SiLU"}),
        r"2_Dense: .*torch\.nn\.SiLU",
    ),
    "dense without bias": (
        lambda folder: without(folder / "2_Dense" / "model.safetensors", "linear.bias"),
        r"2_Dense: the parameters .*'linear.bias': \[8\].* were expected, found {'linear.weight': \[8, 32\]}",
    ),
    "dense without weight": (
        lambda folder: without(folder / "2_Dense" / "model.safetensors", "linear.weight"),
        "2_Dense: linear.weight is not in the file",
    ),
    "a layer less": (
        lambda folder: rewrite(folder / "config.json", lambda value: {**value, "num_hidden_layers": 3}),
        "16 parameters of the model are not in the file: encoder.layer.2",
    ),
    "pooling without the prompt": (
        lambda folder: rewrite(folder / "1_Pooling" / "config.json", lambda value: {**value, "include_prompt": False}),
        "1_Pooling.*include_prompt.*False",
    ),
    "truncated head": (
        lambda folder: (folder / "3_LayerNorm" / "model.safetensors").write_bytes(b"\x00" * 20),
        "3_LayerNorm/model.safetensors cannot be read",
    ),
    "truncated backbone": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:999]),
        "x/model.safetensors cannot be read: ",
    ),
    "no backbone": (lambda folder: (folder / "model.safetensors").unlink(), "x: no weights; one of model.safetensors, "),
    "no tokeniser": (lambda folder: (folder / "tokenizer.json").unlink(), "x: the tokeniser does not load: "),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    encoder(head=8).save(tmp_path / "x")
    assert DenseEncoder.from_pretrained(tmp_path / "x").dimension == 8
    spoil, message = DAMAGES[damage]
    spoil(tmp_path / "x")
    with pytest.raises(ModelError, match=message):
        DenseEncoder.from_pretrained(tmp_path / "x")


def test_a_reranker_is_no_dense_encoder(tmp_path: Path) -> None:
    cross_encoder().save(tmp_path / "x")
    with pytest.raises(ModelError, match=r"x .*CrossEncoder\.from_pretrained"):
        DenseEncoder.from_pretrained(tmp_path / "x")


def test_a_separate_tower_that_is_missing_is_refused(tmp_path: Path) -> None:
    encoder(shared=False).save(tmp_path / "x")
    (tmp_path / "x" / "passage").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"passage: no config.json"):
        DenseEncoder.from_pretrained(tmp_path / "x")
