"""Folders and files of others: what is followed, what is refused by name, and what is assumed aloud."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaModel

from ance_ir.errors import AnceError, ModelError, UsageError
from ance_ir.indexes import FirstP
from ance_ir.models import CrossEncoder, DenseEncoder
from ance_ir.models.dense.published import published_models
from ance_ir.models.loading.family import family_of
from ance_ir.models.loading.weight_files import read_weights
from tests.tiny import WIDTH, backbone, bert_tokenizer, cross_encoder, encoder, reader

TEXTS = ["the cat sleeps", "dense retrieval"]
_DECODER = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 200}


def bare(folder: Path, rename: Callable[[str], str] = lambda name: name, **config: Any) -> Path:
    """A bare backbone, its weights under other names."""
    backbone().save_pretrained(folder)
    bert_tokenizer().save_pretrained(folder)
    weights = {rename(name): tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors")
    change(folder / "config.json", **config)
    return folder


def change(path: Path, **settings: Any) -> None:
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**before, **settings}), encoding="utf-8")


def opened(folder: Path, **options: Any) -> DenseEncoder:
    return DenseEncoder.from_pretrained(folder, device="cpu", **options)


def with_pooling(folder: Path, **options: Any) -> Path:
    """A folder of sentence-transformers."""
    encoder(**options).save(folder)
    (folder / "ance_ir.json").unlink()
    return folder


# a bare backbone


def test_what_nothing_says_is_assumed_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bare(tmp_path / "x")
    model = opened(folder)
    assert (model.query_tower.pooling, model.similarity) == ("mean", "cosine")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "mean pooling" in caplog.text and "cosine" in caplog.text and str(folder) in caplog.text
    caplog.clear()
    model = opened(folder, pooling="cls")
    assert "cosine" in caplog.text and "pooling" not in caplog.records[0].getMessage().partition("assumed")[0]
    caplog.clear()
    model = opened(folder, pooling="cls", similarity="dot")
    assert (model.query_tower.pooling, model.similarity) == ("cls", "dot") and not caplog.records
    hidden = backbone()(**bert_tokenizer()(TEXTS[0], return_tensors="pt")).last_hidden_state[0, 0]
    np.testing.assert_allclose(model.encode_queries(TEXTS[:1])[0], hidden.detach().numpy(), rtol=1e-5, atol=1e-5)
    monkeypatch.setitem(published_models(), str(folder), published_models()["facebook/contriever"])
    model = opened(folder)
    assert (model.query_tower.pooling, model.similarity) == ("mean", "dot") and not caplog.records
    opened(folder, fresh_head="ance")
    assert not caplog.records, "a fresh head leaves nothing to assume"
    with pytest.raises(UsageError, match="median"):
        opened(folder, pooling="median")


def test_a_norm_at_the_top_makes_no_ance_folder(tmp_path: Path) -> None:
    config = LlamaConfig(
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        vocab_size=len(bert_tokenizer()),
        pad_token_id=0,
    )
    LlamaModel(config).save_pretrained(tmp_path)
    bert_tokenizer().save_pretrained(tmp_path)
    assert "norm.weight" in load_file(tmp_path / "model.safetensors")
    model = opened(tmp_path)
    assert model.origin.layout == "backbone" and model.encode_queries(TEXTS).shape == (2, WIDTH)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "module.bert."])
def test_what_wrappers_put_before_names_is_taken_off(tmp_path: Path, prefix: str) -> None:
    found = opened(bare(tmp_path / "x", lambda name: prefix + name))
    assert found.fingerprint() == opened(bare(tmp_path / "y")).fingerprint()
    assert not found.unused


def test_a_wrapper_within_names_and_one_that_is_not_known(tmp_path: Path) -> None:
    found = opened(bare(tmp_path / "x", lambda name: name.replace("encoder.", "encoder._orig_mod.")))
    assert found.fingerprint() == opened(bare(tmp_path / "y")).fingerprint()
    folder = bare(tmp_path / "z", lambda name: "strange." + name)
    with pytest.raises(ModelError, match=r"'strange\.'"):
        opened(folder)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "epoch": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=rf"{len(weights)} of them .*'strange\.'"):
        opened(folder)


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float32", torch.float32), ("float16", torch.float16), (None, torch.float32)], ids=["32", "16", "none"]
)
def test_the_type_is_the_configurations_else_the_widest(
    tmp_path: Path, dtype: str | None, expected: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bare(tmp_path / "x", dtype=dtype)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    first = next(iter(weights))
    torch.save({first: weights.pop(first).half(), **weights}, folder / "pytorch_model.bin")
    assert opened(folder, pooling="mean", similarity="dot").query_tower.backbone.dtype == expected
    assert bool(caplog.records) is (dtype == "float16"), "rounding is said"


# what is no whole model


def incomplete_cache(folder: Path) -> Path:
    snapshot = bare(folder / "models--x" / "snapshots" / "0f")
    (folder / "models--x" / "blobs").mkdir()
    (folder / "models--x" / "blobs" / "abc.incomplete").touch()
    return snapshot


def missing_shard(folder: Path) -> Path:
    bare(folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    places = {name: f"model-0000{1 + (name > 'encoder')}-of-00002.safetensors" for name in weights}
    change(folder / "model.safetensors.index.json", weight_map=places)
    return folder


def with_file(name: str, content: bytes = b"") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        bare(folder)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return folder

    return make


def alone(**files: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        folder.mkdir()
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_bytes(content)
        return folder

    return make


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an adapter beside its base": (with_file("adapter_config.json", b"{}"), "adapter.*peft"),
    "an adapter alone": (alone(adapter_config__json=b"{}", adapter_model__safetensors=b""), "adapter of the type None.*LORA"),
    "an adapter within the weights": (
        lambda folder: bare(folder, lambda name: name.replace("query.weight", "query.lora_A.weight")),
        "lora_A",
    ),
    "a download of the cache": (incomplete_cache, r"abc\.incomplete"),
    "a download into a folder": (with_file(".cache/huggingface/download/x.incomplete"), r"x\.incomplete"),
    "a shard that is missing": (missing_shard, "model-00002-of-00002.safetensors"),
    "half a folder of sentence-transformers": (with_file("1_Pooling/config.json", b"{}"), "modules.json"),
    "half another": (with_file("config_sentence_transformers.json", b"{}"), "modules.json"),
    "a git-lfs pointer": (with_file("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:1"), "git lfs pull"),
    "a web page": (with_file("config.json", b"<!DOCTYPE html><html>"), "config.json is a web page"),
    "GGUF alone": (alone(model__gguf=b"GGUF"), "GGUF"),
    "ONNX alone": (alone(model__onnx=b""), "ONNX"),
    "an index": (alone(pt_meta__json=b"{}", manifest__json=b"{}"), "an index"),
    "a collection": (alone(corpus__jsonl=b""), "--dataset"),
    "an empty folder": (alone(), "empty"),
    "quantised weights": (lambda folder: bare(folder, quantization_config={"bits": 4}), "quantization_config"),
    "far too many layers": (lambda folder: bare(folder, num_hidden_layers=10**9), "1000000000 layers"),
    "far too many words": (lambda folder: bare(folder, vocab_size=10**9), "1000000000 tokens"),
    "settings that are a list": (with_file("config.json", b"[]"), "config.json"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_whole_model_is_refused_by_name(tmp_path: Path, case: str) -> None:
    make, named = REFUSED[case]
    folder = make(tmp_path / "x")
    with pytest.raises(ModelError, match=named):
        opened(folder)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"<html>", "web page"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"GGUF", "GGUF"),
        (b"PK", "x.bin"),
        (b"q1 Q0 d1 1 2.0 x\n", "x.bin"),
        (b"\x80\x04c__builtin__\nexec\n.", "x.bin"),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(ModelError, match=named):
        opened(tmp_path / "x.bin")


def test_a_file_that_grows_in_memory_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "whole.bin")
    assert read_weights(tmp_path / "whole.bin")["a"].shape == (1000,)
    with zipfile.ZipFile(tmp_path / "whole.bin") as source, zipfile.ZipFile(tmp_path / "x.bin", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with pytest.raises(ModelError, match="compressed"):
        read_weights(tmp_path / "x.bin")


def test_configurations_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    folder = bare(tmp_path / "x")
    for settings in (
        {"num_attention_heads": 0},
        {"hidden_size": "wide"},
        {"model_type": 3},
        {"model_type": ["bert"]},
        {"auto_map": 7},
        {"vocab_size": float("inf")},
        {"num_hidden_layers": -1},
        {"hidden_act": None},
        {"architectures": 5, "num_attention_heads": 0},
    ):
        before = (folder / "config.json").read_bytes()
        change(folder / "config.json", **settings)
        assert family_of(folder) is None
        with pytest.raises(ModelError):
            opened(folder)
        (folder / "config.json").write_bytes(before)
    (folder / "modules.json").write_bytes(b"\xff[1]")
    assert family_of(folder) is None
    with pytest.raises(ModelError, match=r"modules\.json"):
        opened(folder)


@pytest.mark.parametrize("sentence_transformers", [False, True])
def test_a_model_that_only_code_of_its_own_computes_is_refused_by_it(tmp_path: Path, sentence_transformers: bool) -> None:
    """NV-Embed's layout: a Mistral that looks both ways, below a pooling by latent attention, both in the folder's own code."""
    folder = with_pooling(tmp_path / "x") if sentence_transformers else bare(tmp_path / "x")
    weights = {f"embedding_model.{name}": tensor for name, tensor in LlamaModel(LlamaConfig(**_DECODER)).state_dict().items()}
    weights["latent_attention_model.latents"] = torch.zeros(4, WIDTH)
    save_file(weights, folder / "model.safetensors")
    code = {"AutoConfig": "configuration_nvembed.NVEmbedConfig", "AutoModel": "modeling_nvembed.NVEmbedModel"}
    (folder / "modeling_nvembed.py").write_text("raise SystemExit('this is run')\n")
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "nvembed",
                "architectures": ["NVEmbedModel"],
                "auto_map": code,
                "latent_attention_config": {"model_type": "latent_attention"},
                "text_config": {"model_type": "bidir_mistral", **_DECODER},
            }
        )
    )
    with pytest.raises(ModelError, match=r"'nvembed'.*modeling_nvembed\.NVEmbedModel"):
        opened(folder)


# settings of sentence-transformers


def test_cosine_is_followed_without_a_module_that_normalises(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = with_pooling(tmp_path / "x")
    change(folder / "config_sentence_transformers.json", similarity_fn_name="cosine")
    model = opened(folder)
    assert model.similarity == "cosine"
    np.testing.assert_allclose(np.linalg.norm(model.encode_passages(TEXTS), axis=1), 1, rtol=1e-5)
    assert not caplog.records
    with pytest.raises(UsageError, match=r"dot.*cosine"):
        opened(folder, similarity="dot")
    change(folder / "config_sentence_transformers.json", similarity_fn_name=None)
    assert opened(folder).similarity == "dot" and "dot" in caplog.text
    caplog.clear()
    assert opened(folder, similarity="cosine").similarity == "cosine" and not caplog.records


def test_lengths_of_queries_and_documents_are_followed(tmp_path: Path) -> None:
    folder = with_pooling(tmp_path / "x")
    change(folder / "sentence_bert_config.json", max_seq_length=30, query_length=9, document_length=25)
    text = opened(folder).text
    assert (text.query_length, text.passage_length) == (9, 25)


@pytest.mark.parametrize("dimensions", [-4, 0, 33])
def test_a_cut_that_vectors_do_not_have_is_refused(tmp_path: Path, dimensions: int) -> None:
    folder = with_pooling(tmp_path / "x")
    change(folder / "config_sentence_transformers.json", truncate_dim=dimensions)
    with pytest.raises(ModelError, match=rf"{folder}.* {dimensions}$"):
        opened(folder)


UNKNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "prompts": ("config_sentence_transformers.json", {"prompts": {"query": True}}),
    "truncate_dim": ("config_sentence_transformers.json", {"truncate_dim": "eight"}),
    "similarity_fn_name": ("config_sentence_transformers.json", {"similarity_fn_name": "euclidean"}),
    "model_type": ("config_sentence_transformers.json", {"model_type": "Translator"}),
    "colour": ("config_sentence_transformers.json", {"colour": "red"}),
    "query_expansion": ("sentence_bert_config.json", {"query_expansion": {"length": 32}}),
    "transformer_task": ("sentence_bert_config.json", {"transformer_task": "fill-mask"}),
    "model_args": ("sentence_bert_config.json", {"model_args": {"torch_dtype": "float16"}}),
    "unheard_of": ("sentence_bert_config.json", {"unheard_of": 1}),
    "include_prompt": ("1_Pooling/config.json", {"include_prompt": False}),
    "window": ("1_Pooling/config.json", {"window": 3}),
    "use_residual": ("2_Dense/config.json", {"use_residual": "some"}),
    "module_input_name": ("2_Dense/config.json", {"module_input_name": "token_embeddings"}),
    "eps": ("3_LayerNorm/config.json", {"eps": 1}),
    "module_output_name": ("4_Normalize/config.json", {"module_output_name": "other"}),
}


def test_a_setting_that_is_not_understood_is_refused_by_name(tmp_path: Path) -> None:
    folder = with_pooling(tmp_path / "x", head=8, normalize=True)
    harmless = {"__version__": {"pytorch": "2"}, "model_type": "SentenceTransformer", "truncate_dim": None, "default_prompt_name": None}
    change(folder / "config_sentence_transformers.json", **harmless)
    change(
        folder / "sentence_bert_config.json", unpad_inputs=True, query_expansion=None, model_args={}, module_output_name="token_embeddings"
    )
    opened(folder)
    for name, (file, settings) in UNKNOWN.items():
        before = (folder / file).read_bytes()
        change(folder / file, **settings)
        with pytest.raises(ModelError, match=rf"{file}.*{name}"):
            opened(folder)
        (folder / file).write_bytes(before)
    opened(folder)
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[0]["kwargs"] = ["task"]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(ModelError, match=r"modules\.json.*kwargs"):
        opened(folder)


def test_a_setting_of_a_reranker_that_is_not_understood_is_refused_by_name(tmp_path: Path) -> None:
    cross_encoder().save(tmp_path)
    (tmp_path / "ance_ir.json").unlink()
    CrossEncoder.from_pretrained(tmp_path, device="cpu")
    for name, (file, settings) in {
        "colour": ("config_sentence_transformers.json", {"colour": 1}),
        "query_length": ("sentence_bert_config.json", {"query_length": 5}),
        "transformer_task": ("sentence_bert_config.json", {"transformer_task": "text-generation"}),
        "temperature": ("config.json", {"sentence_transformers": {"temperature": 2}}),
    }.items():
        before = (tmp_path / file).read_bytes()
        change(tmp_path / file, **settings)
        with pytest.raises(ModelError, match=rf"{file}.*{name}"):
            CrossEncoder.from_pretrained(tmp_path, device="cpu")
        (tmp_path / file).write_bytes(before)


def test_adapters_and_downloads_are_no_rerankers_and_readers(tmp_path: Path) -> None:
    from ance_ir.models import Reader

    for model, kind in ((cross_encoder(), CrossEncoder), (reader(), Reader)):
        folder = tmp_path / kind.__name__
        model.save(folder)
        (folder / "adapter_config.json").touch()
        with pytest.raises(AnceError, match="adapter"):
            kind.from_pretrained(folder, device="cpu")


def test_what_is_beside_a_module_of_its_own_folder_is_looked_at(tmp_path: Path) -> None:
    folder = with_pooling(tmp_path / "x")
    (folder / "0_Transformer").mkdir()
    for file in [
        file for file in folder.iterdir() if file.is_file() and file.name not in ("modules.json", "config_sentence_transformers.json")
    ]:
        file.rename(folder / "0_Transformer" / file.name)
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert opened(folder).origin.layout == "sentence-transformers"
    (folder / "0_Transformer" / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"0_Transformer.*adapter"):
        opened(folder)


def test_an_adapter_in_a_folder_below_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = bare(tmp_path / "x")
    (folder / "mine").mkdir()
    (folder / "mine" / "adapter_config.json").write_text("{}")
    opened(folder, pooling="mean", similarity="dot")
    assert "adapter" in caplog.text and "'mine'" in caplog.text
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match="adapter"):
        opened(folder)


def test_code_of_a_models_own_is_refused(tmp_path: Path) -> None:
    folder = with_pooling(tmp_path / "x")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(ModelError, match=r"custom_st\.Transformer"):
        opened(folder)


def test_pooling_is_chosen_where_no_module_has_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = with_pooling(tmp_path / "x")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    (folder / "modules.json").write_text(json.dumps(modules[:1]), encoding="utf-8")
    assert opened(folder).query_tower.pooling == "mean" and "mean pooling" in caplog.text
    caplog.clear()
    assert opened(folder, pooling="cls").query_tower.pooling == "cls" and not caplog.records


@pytest.mark.parametrize(
    ("file", "settings", "named"),
    [
        ("config_sentence_transformers.json", {"prompts": ["a"]}, "prompts"),
        ("config_sentence_transformers.json", {"prompts": {"query": 3}}, "query"),
        ("config_sentence_transformers.json", {"prompts": {"query": "q"}, "default_prompt_name": "search"}, "search"),
        ("sentence_bert_config.json", {"max_seq_length": "12"}, "max_seq_length"),
        ("sentence_bert_config.json", {"max_seq_length": 12.7}, "max_seq_length"),
        ("sentence_bert_config.json", {"max_seq_length": 0}, "length"),
        ("sentence_bert_config.json", {"do_lower_case": "false"}, "do_lower_case"),
    ],
)
def test_a_setting_of_another_type_is_refused_by_name(tmp_path: Path, file: str, settings: dict[str, Any], named: str) -> None:
    folder = with_pooling(tmp_path / "x")
    change(folder / file, **settings)
    with pytest.raises(ModelError, match=named):
        opened(folder)


def test_prompts_that_no_text_gets_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = with_pooling(tmp_path / "x")
    change(folder / "config_sentence_transformers.json", prompts={"web_search_query": "Find: ", "sts": "Same: "})
    assert opened(folder).text.query_prefix == ""
    assert "web_search_query" in caplog.text and "'sts'" in caplog.text and "Find: " in caplog.text
    caplog.clear()
    change(folder / "config_sentence_transformers.json", prompts={"query": "Find: ", "sts": "Same: "})
    assert opened(folder).text.query_prefix == "Find: " and not caplog.records


def test_a_tokeniser_that_cuts_at_the_beginning_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = with_pooling(tmp_path / "x")
    change(folder / "tokenizer_config.json", truncation_side="left")
    model, text = opened(folder), "the king of the river " * 20 + "queen"
    assert "truncation_side" in caplog.text
    assert model.tokenizer.passages([text]) == [model.tokenizer.cut([text], FirstP(model.settings.passage_length)).lists()[0][0]]


# in what order


@pytest.mark.parametrize(
    "wrong",
    ["config_sentence_transformers.json", "sentence_bert_config.json", "1_Pooling/config.json", "2_Dense/config.json", "tokenizer.json"],
)
def test_small_files_that_are_wrong_are_refused_before_weights_are_read(tmp_path: Path, wrong: str) -> None:
    folder = with_pooling(tmp_path / "x", head=8)
    (folder / "model.safetensors").write_bytes(b"would be read for minutes")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        opened(folder)
    (folder / wrong).write_text('{"unknown": 1}', encoding="utf-8")
    with pytest.raises(ModelError) as refused:
        opened(folder)
    assert "model.safetensors" not in str(refused.value)
