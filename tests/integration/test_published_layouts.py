"""Every published layout gives the vectors of the library it comes from, computed there step by step."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from ance_ir.errors import ModelError, UsageError
from ance_ir.models import CrossEncoder, DenseEncoder
from tests.published import (
    DIMENSION,
    Stored,
    ance_weights,
    dpr_encoders,
    into_cache,
    write_ance,
    write_bert,
    write_dpr,
    write_dpr_file,
)
from tests.tiny import POSITIONS, WIDTH, WORDS, backbone, bert_tokenizer, roberta_tokenizer

pytestmark = pytest.mark.integration

TEXTS = ["the cat sleeps", "", " \n", "Dense Retrieval", "who sings when the moon is red?", "日本 שלום", " ".join(WORDS * 3)]
TITLES = ["A Cat", "", "the river", "Dense", "the moon", "日", " ".join(WORDS)]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return cache


def same(found: np.ndarray, expected: torch.Tensor | np.ndarray) -> None:
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-5, atol=1e-5 * np.abs(np.asarray(expected)).max())


def ance_reference(texts: list[str], length: int) -> np.ndarray:
    """Backbone, position 0, Linear, LayerNorm: one text at a time, nothing padded."""
    weights, roberta = ance_weights(), backbone("roberta")
    rows = []
    for text in texts:
        ids = roberta_tokenizer()(text.lower(), truncation=True, max_length=length, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            hidden = roberta(input_ids=ids).last_hidden_state[:, 0]
            linear = nn.functional.linear(hidden, weights["embeddingHead.weight"], weights["embeddingHead.bias"])
            rows.append(nn.functional.layer_norm(linear, (DIMENSION,), weights["norm.weight"], weights["norm.bias"], 1e-5)[0].numpy())
    return np.stack(rows)


@pytest.mark.parametrize("prefix", ["", "ance_encoder."])
@pytest.mark.parametrize("stored", get_args(Stored))
def test_ance_folders(tmp_path: Path, prefix: str, stored: Stored) -> None:
    model = DenseEncoder.from_pretrained(write_ance(tmp_path / "x", ance_weights(prefix), stored=stored), device="cpu")
    assert (model.similarity, model.shared, model.dimension) == ("dot", True, DIMENSION)
    assert (model.settings.query_length, model.settings.passage_length, model.settings.lower_case) == (POSITIONS, POSITIONS, True)
    assert model.unused == ()
    same(model.encode_queries(TEXTS), ance_reference(TEXTS, POSITIONS))
    same(model.with_settings(passage_length=20).encode_passages(TEXTS), ance_reference(TEXTS, 20))


@pytest.mark.parametrize(
    ("name", "text", "separator"), [("passage", "the moon Red sun", " "), ("doc-firstp", "http://x<sep>The Moon<sep>Red sun", "<sep>")]
)
def test_published_names_bring_their_settings_from_the_cache(tmp_path: Path, hub: Path, name: str, text: str, separator: str) -> None:
    document = {"docno": "d", "url": "http://x", "title": "The Moon", "text": "Red sun"}
    into_cache(hub, f"castorini/ance-msmarco-{name}", write_ance(tmp_path / "x", ance_weights("ance_encoder."), "AnceEncoder"))
    model = DenseEncoder.from_pretrained(f"castorini/ance-msmarco-{name}", device="cpu")
    assert model.settings.separator == separator
    assert ("table of published names" in model.origin.settings) == (name != "passage")
    joined = model.settings.join(document)
    assert joined == (text if name != "passage" else "The Moon Red sun")
    same(model.encode_passages([joined]), ance_reference([joined], POSITIONS))
    changed = DenseEncoder.from_pretrained(f"castorini/ance-msmarco-{name}", device="cpu", separator="|")
    assert changed.settings.separator == "|"
    assert changed.fingerprint() != model.fingerprint()
    assert changed.origin.settings.endswith("separator changed by the caller")


def test_a_path_that_looks_like_a_published_name_is_not_one(tmp_path: Path) -> None:
    folder = write_ance(tmp_path / "castorini" / "ance-msmarco-doc-maxp", ance_weights())
    assert DenseEncoder.from_pretrained(folder, device="cpu").text.separator == " "


def dpr_reference(encoder: Any, texts: list[Any], length: int = POSITIONS) -> np.ndarray:
    rows = []
    for text in texts:
        one = text if isinstance(text, tuple) else (text,)
        ids = bert_tokenizer()(*one, truncation=True, max_length=length, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            rows.append(encoder(input_ids=ids).pooler_output[0].numpy())
    return np.stack(rows)


def same_as_dpr(model: DenseEncoder, encoders: tuple[Any, Any], length: int = POSITIONS) -> None:
    assert (model.similarity, model.shared) == ("dot", False)
    same(model.encode_queries(TEXTS), dpr_reference(encoders[0], [text.removesuffix("?") for text in TEXTS], length))
    documents = [{"docno": "d", "title": title, "text": text} for title, text in zip(TITLES, TEXTS, strict=True)]
    pairs = [model.settings.join(document) for document in documents]
    assert [isinstance(pair, tuple) for pair in pairs] == [bool(title) for title in TITLES]
    same(model.encode_passages(pairs), dpr_reference(encoders[1], pairs, length))


@pytest.mark.parametrize("projection", [0, 12])
def test_dpr_encoders(tmp_path: Path, projection: int) -> None:
    encoders = dpr_encoders(projection)
    question, context = write_dpr(tmp_path, encoders)
    model = DenseEncoder.from_pretrained((question, context), device="cpu")
    same_as_dpr(model, encoders)
    assert model.dimension == (projection or WIDTH)
    for name in ((context, question), f"{question},{context}", f"{question}, {context}", tmp_path):
        again = DenseEncoder.from_pretrained(name, device="cpu")
        assert again.fingerprint() == model.fingerprint()
    reopened = DenseEncoder.from_pretrained(model.name, device="cpu")  # as an index names it
    assert reopened.fingerprint() == model.fingerprint()


def test_one_of_two_published_towers_brings_the_other(tmp_path: Path, hub: Path) -> None:
    encoders = dpr_encoders()
    for side, folder in zip(("question", "context"), write_dpr(tmp_path, encoders), strict=True):
        into_cache(hub, f"castorini/ance-dpr-{side}-multi", folder)
    for side in ("question", "context"):
        same_as_dpr(DenseEncoder.from_pretrained(f"castorini/ance-dpr-{side}-multi", device="cpu"), encoders)


def test_dpr_towers_that_do_not_pair_are_refused(tmp_path: Path) -> None:
    question, context = write_dpr(tmp_path, dpr_encoders())
    with pytest.raises(ModelError, match="QUESTION,CONTEXT"):
        DenseEncoder.from_pretrained(question)
    with pytest.raises(ModelError, match="are both a question encoder; one of each kind is needed"):
        DenseEncoder.from_pretrained((question, question))
    with pytest.raises(ModelError, match=r"\b3\b"):
        DenseEncoder.from_pretrained(f"{question},{context},{context}")
    write_bert(tmp_path / "bert")
    with pytest.raises(ModelError, match=r"DPRQuestionEncoder.*DPRContextEncoder"):
        DenseEncoder.from_pretrained((question, tmp_path / "bert"))


@pytest.mark.parametrize("projection", [0, 12])
@pytest.mark.parametrize("zipped", [True, False])
def test_dpr_file_beside_its_configuration(tmp_path: Path, projection: int, zipped: bool) -> None:
    encoders = dpr_encoders(projection)
    file = write_dpr_file(write_bert(tmp_path / "x") / "nq.cp", encoders, told={"sequence_length": 20}, zipped=zipped)
    model = DenseEncoder.from_pretrained(file, device="cpu")
    assert (model.settings.query_length, model.settings.passage_length) == (20, 20)
    assert model.unused == ()
    same_as_dpr(model, encoders, 20)


@pytest.mark.parametrize("told", [{}, {"pretrained_model_cfg": "bert-base-uncased"}, {"pretrained_model_cfg": "my/bert"}])
def test_dpr_file_whose_configuration_is_in_the_cache(tmp_path: Path, hub: Path, told: dict[str, str]) -> None:
    file = write_dpr_file(tmp_path / "multi.cp", dpr_encoders(), told=told)
    name = told.get("pretrained_model_cfg", "bert-base-uncased")
    with pytest.raises(ModelError, match=rf"multi.cp holds weights only; its configuration and tokeniser are those of {name}: no model"):
        DenseEncoder.from_pretrained(file)
    into_cache(hub, name, write_bert(tmp_path / "bert"))
    same_as_dpr(DenseEncoder.from_pretrained(file, device="cpu"), dpr_encoders())


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("zipped", [True, False, None])
def test_a_file_that_would_run_code_is_refused(tmp_path: Path, zipped: bool | None) -> None:
    mark, file = tmp_path / "mark", write_bert(tmp_path / "x") / "nq.cp"
    state = {"model_dict": {}, "encoder_params": Bomb(mark)}
    if zipped is None:
        file.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, file, _use_new_zipfile_serialization=zipped)
    pickle.loads(pickle.dumps(Bomb(tmp_path / "works")))  # noqa: S301
    assert (tmp_path / "works").exists(), "the bomb is a real one"
    with pytest.raises(ModelError, match=r"nq.cp.*(holds more than tensors.*refused|cannot be read)"):
        DenseEncoder.from_pretrained(file)
    assert not mark.exists()
    torch.save({"x": Bomb(mark)}, tmp_path / "x" / "pytorch_model.bin")
    (tmp_path / "x" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model.bin .*\(\S*system\)"):
        DenseEncoder.from_pretrained(tmp_path / "x")
    assert not mark.exists()


@pytest.mark.parametrize("opener", [DenseEncoder, CrossEncoder])
def test_a_folder_with_code_of_its_own_is_refused(tmp_path: Path, opener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_bert(tmp_path / "x")
    for path, change in (
        ("config.json", {"model_type": "vit"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["tok.T", None]}}),
    ):
        settings = {**json.loads((folder / path).read_text()), **change}
        settings.pop("tokenizer_class", None)
        (folder / path).write_text(json.dumps(settings))
    (folder / "tok.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\nclass T: pass\n")

    asked: list[object] = []
    monkeypatch.setattr("builtins.input", lambda *prompt: asked.append(prompt) or "y")
    with pytest.raises(ModelError):
        opener.from_pretrained(folder)
    assert asked == []
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("opener", [DenseEncoder, CrossEncoder])
@pytest.mark.parametrize("file", ["config.json", "modules.json", "tokenizer.json", "ance_ir.json"])
@pytest.mark.parametrize("content", ["[]", "[1]", "3", "{}", "null"])
def test_json_of_something_else_is_refused(tmp_path: Path, opener: Any, file: str, content: str) -> None:
    (write_bert(tmp_path / "x") / file).write_text(content)
    with pytest.raises(ModelError):
        opener.from_pretrained(tmp_path / "x")


def test_towers_whose_folders_have_commas_in_their_names(tmp_path: Path) -> None:
    question, context = write_dpr(tmp_path / "a,b", dpr_encoders())
    assert not DenseEncoder.from_pretrained((question, context), device="cpu").shared
    assert not DenseEncoder.from_pretrained(tmp_path / "a,b", device="cpu").shared


def test_a_tokeniser_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "x")
    roberta_tokenizer().save_pretrained(folder)
    with pytest.raises(ModelError, match=r"ids go up to \d+.* \d+ tokens"):
        DenseEncoder.from_pretrained(folder)


def test_a_quantised_model_is_refused(tmp_path: Path) -> None:
    write_ance(tmp_path / "x", ance_weights())
    name = "roberta.encoder.layer.0.output.dense.weight"
    rewrite(tmp_path / "x" / "pytorch_model.bin", lambda weights: {**weights, name: weights[name].to(torch.int8)})
    with pytest.raises(ModelError, match=r"quantised.*: roberta"):
        DenseEncoder.from_pretrained(tmp_path / "x")


def test_positions_are_no_weights(tmp_path: Path) -> None:
    write_ance(tmp_path / "x", {**ance_weights(), "roberta.embeddings.position_ids": torch.arange(POSITIONS + 2)[None]})
    assert DenseEncoder.from_pretrained(tmp_path / "x", device="cpu").unused == ()


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="head 'bogus'"):
        DenseEncoder.from_pretrained(write_bert(tmp_path / "x"), fresh_head="bogus")  # type: ignore[arg-type]
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    for encode in (model.encode_queries, model.encode_passages):
        with pytest.raises(UsageError, match=r"\['cat dog'\]"):
            encode("cat dog")
    with pytest.raises(UsageError, match="'meta'"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="meta")


def test_modules_outside_the_folder_are_refused(tmp_path: Path) -> None:
    model = DenseEncoder.from_pretrained(write_bert(tmp_path / "bert"), device="cpu")
    model.save(tmp_path / "x")
    (tmp_path / "x" / "1_Pooling").rename(tmp_path / "elsewhere")
    path = tmp_path / "x" / "modules.json"
    path.write_text(path.read_text().replace("1_Pooling", "../elsewhere"))
    with pytest.raises(ModelError, match="elsewhere, which is not in the folder"):
        DenseEncoder.from_pretrained(tmp_path / "x")


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", {"weights": 1}, {"model_dict": {"a": 1}}, [1, 2]])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "x.cp"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(ModelError, match=r"x.cp.*(cannot be read|is damaged|a DPR checkpoint was expected, with the weights)"):
        DenseEncoder.from_pretrained(file)


SMALL: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
BACKBONES: dict[str, dict[str, Any]] = {
    "Bert": {**SMALL, "max_position_embeddings": POSITIONS},
    "Roberta": {**SMALL, "max_position_embeddings": POSITIONS + 2, "pad_token_id": 1},
    "DistilBert": {"dim": WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": POSITIONS},
    "MPNet": {**SMALL, "max_position_embeddings": POSITIONS + 2, "pad_token_id": 1},
    "ModernBert": {**SMALL, "max_position_embeddings": POSITIONS, "pad_token_id": 0, "local_attention": 8},
}


def write_backbone(folder: Path, kind: str, task: str) -> Any:
    """A backbone as published, alone or within a model for a task, and the backbone itself."""
    tokenizer = roberta_tokenizer() if kind == "Roberta" else bert_tokenizer()
    config = getattr(transformers, f"{kind}Config")(vocab_size=len(tokenizer), initializer_range=0.3, **BACKBONES[kind])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        whole = getattr(transformers, f"{kind}{task}")(config).eval()
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return (whole if task == "Model" else getattr(whole, whole.base_model_prefix)), tokenizer


@pytest.mark.parametrize(
    ("kind", "task", "head"),
    [  # every kind and task together; a fresh head with each of both
        (kind, task, None if (place + number) % 2 else "ance")
        for place, kind in enumerate(BACKBONES)
        for number, task in enumerate(["Model", "ForMaskedLM", "ForSequenceClassification"])
    ],
)
def test_bare_backbones(tmp_path: Path, kind: str, task: str, head: Any, caplog: pytest.LogCaptureFixture) -> None:
    inner, tokenizer = write_backbone(tmp_path / "x", kind, task)
    with caplog.at_level(logging.WARNING):
        model = DenseEncoder.from_pretrained(tmp_path / "x", fresh_head=head, device="cpu")
    assert model.unused == ()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("ance_ir")]
    assert len(said) == (head is None), "pooling and similarity are assumed"
    rows = []
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=POSITIONS, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            hidden = inner(input_ids=ids).last_hidden_state
            if head is None:
                rows.append(nn.functional.normalize(hidden.mean(1), dim=-1)[0].numpy())
            else:
                made = model.query_tower.head
                assert made is not None and made.norm is not None
                linear = nn.functional.linear(hidden[:, 0], made.linear.weight, made.linear.bias)
                rows.append(nn.functional.layer_norm(linear, (WIDTH,), made.norm.weight, made.norm.bias, 1e-5)[0].numpy())
    same(model.encode_passages(TEXTS), np.stack(rows))
    model.save(tmp_path / "saved")
    again = DenseEncoder.from_pretrained(tmp_path / "saved", device="cpu")
    assert again.fingerprint() == model.fingerprint()


def test_a_fresh_head_is_seeded_and_for_backbones_without_one_of_the_papers(tmp_path: Path) -> None:
    write_bert(tmp_path / "x")
    before = torch.random.get_rng_state()
    first, same_seed, other = (
        DenseEncoder.from_pretrained(tmp_path / "x", fresh_head="ance", seed=seed, device="cpu") for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.fingerprint() == same_seed.fingerprint() != other.fingerprint()
    assert first.similarity == "dot"
    modules = [
        {"idx": i, "name": str(i), "path": "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(("Transformer", "Normalize"))
    ]
    (tmp_path / "x" / "modules.json").write_text(json.dumps(modules))
    of_modules = DenseEncoder.from_pretrained(tmp_path / "x", fresh_head="ance", seed=1, device="cpu")
    assert of_modules.fingerprint() == first.fingerprint()
    write_ance(tmp_path / "ance", ance_weights())
    with pytest.raises(ModelError, match=r"a fresh head was asked for, but this is no bare backbone \(ANCE\)"):
        DenseEncoder.from_pretrained(tmp_path / "ance", fresh_head="ance")


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    torch.save(change(torch.load(path)), path)


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(weights: dict[str, Any]) -> dict[str, Any]:
        assert name in weights
        return {key: value for key, value in weights.items() if key != name}

    return change


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("roberta.encoder.layer.1.output.dense.bias", r"1 parameters of the model are not in the file: encoder.layer.1.output.dense.bias"),
        ("roberta.embeddings.word_embeddings.weight", r"not in the file: embeddings.word_embeddings.weight"),
        ("embeddingHead.weight", "the head's embeddingHead.weight are not in the file"),
        ("norm.bias", "the head's norm.bias are not in the file"),
    ],
)
def test_no_parameter_is_made_up(tmp_path: Path, name: str, said: str) -> None:
    write_ance(tmp_path / "x", ance_weights())
    DenseEncoder.from_pretrained(tmp_path / "x")
    rewrite(tmp_path / "x" / "pytorch_model.bin", without(name))
    with pytest.raises(ModelError, match=said):
        DenseEncoder.from_pretrained(tmp_path / "x")


def test_a_tower_without_weights_is_refused(tmp_path: Path) -> None:
    file = write_dpr_file(write_bert(tmp_path / "x") / "nq.cp", dpr_encoders(), told={})
    rewrite(file, lambda state: {**state, "model_dict": {k: v for k, v in state["model_dict"].items() if "ctx" not in k}})
    with pytest.raises(ModelError, match=r"nq.cp, ctx_model.\*: \d+"):
        DenseEncoder.from_pretrained(file)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    write_ance(tmp_path / "x", ance_weights())
    name = "roberta.embeddings.LayerNorm.weight"
    rewrite(tmp_path / "x" / "pytorch_model.bin", lambda weights: {**weights, name: torch.ones(5)})
    with pytest.raises(ModelError, match=r"embeddings.LayerNorm.weight is \[5\], not \[32\]"):
        DenseEncoder.from_pretrained(tmp_path / "x")


def test_weights_without_a_place_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_ance(tmp_path / "x", {**ance_weights(), "roberta.extra.bias": torch.zeros(2), "linear.weight": torch.zeros(2, 2)})
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.unused == ("linear.weight", "roberta.extra.bias")
    assert "weights that have no place in the model: linear.weight, roberta.extra.bias" in caplog.text


@pytest.mark.parametrize("shard", ["../elsewhere.bin", "missing.bin"])
def test_an_index_of_shards_that_points_elsewhere_is_refused(tmp_path: Path, shard: str) -> None:
    write_ance(tmp_path / "x", ance_weights(), stored="shards of bin")
    torch.save({}, tmp_path / "elsewhere.bin")
    (tmp_path / "x" / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "' + shard + '"}}')
    with pytest.raises(ModelError, match=rf"names the shard '{shard}', which is not in the folder"):
        DenseEncoder.from_pretrained(tmp_path / "x")


def test_a_model_type_without_an_encoder_is_refused(tmp_path: Path) -> None:
    write_bert(tmp_path / "x")
    (tmp_path / "x" / "config.json").write_text('{"model_type": "no-such-type"}')
    with pytest.raises(ModelError, match=r"config.json.*'no-such-type'"):
        DenseEncoder.from_pretrained(tmp_path / "x")


def test_the_name_of_a_folder_tells_no_model_type(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "my-bert-base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({name: value for name, value in config.items() if name != "model_type"}))
    with pytest.raises(ModelError, match=r'names no model_type; add it, e\.g\. "bert"'):
        DenseEncoder.from_pretrained(folder)


@pytest.mark.parametrize("layout", ["ance", "dpr", "backbone"])
def test_what_is_saved_again_opens_in_sentence_transformers(tmp_path: Path, layout: str) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    if layout == "ance":
        write_ance(tmp_path / "x", ance_weights())
        name: Any = tmp_path / "x"
    elif layout == "dpr":
        name = write_dpr(tmp_path, dpr_encoders(12))
    else:
        name = write_bert(tmp_path / "x")
    model = DenseEncoder.from_pretrained(name, device="cpu")
    model.save(tmp_path / "saved")
    parts = ["query", "passage"] if layout == "dpr" else ["", ""]
    query, passage = (sentence_transformers.SentenceTransformer(str(tmp_path / "saved" / part), device="cpu") for part in parts)
    texts = ["who sings when the moon is red", *TEXTS[:4], " ".join(WORDS * 2)]
    same(model.encode_queries(texts), query.encode(texts, show_progress_bar=False))
    same(model.encode_passages(texts), passage.encode(texts, show_progress_bar=False))
