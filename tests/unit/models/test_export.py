"""Models as graphs: what the folder holds, what the runtime computes with it, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import ModelCard
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from ance_ir.cli.export import command
from ance_ir.errors import MissingDependencyError, ModelError, UsageError
from ance_ir.models import CrossEncoder, DenseEncoder, Head, Reader
from ance_ir.models.dense.graph import TowerGraph, graph_of
from ance_ir.models.export.format import EXPORT_FORMATS
from ance_ir.models.export.writing import check, write_graphs
from ance_ir.models.pretrained import Pretrained
from ance_ir.models.reader.text import Layout
from tests.answering import write_language_model, write_t5
from tests.tiny import cross_encoder, encoder, reader, static

openvino = pytest.importorskip("openvino")

TEXTS = ["the cat sleeps", "", "Dense Retrieval", "who sings when the moon is red and the small river runs", "日本"]


def read(folder: Path, texts: list[str], length: int) -> dict[str, np.ndarray]:
    """What the exported tokeniser makes of texts: a batch of mixed lengths."""
    found = AutoTokenizer.from_pretrained(folder)(texts, padding=True, truncation=True, max_length=length, return_tensors="np")
    return {name: found[name] for name in ("input_ids", "attention_mask")}


def test_two_towers_are_two_graphs(tmp_path: Path) -> None:
    model = encoder("roberta", shared=False, head=12, text={"query_prefix": "query: "})
    model.export(tmp_path / "x", "openvino")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
    described = json.loads((tmp_path / "x" / "export.json").read_text())
    assert described["fingerprint"] == model.fingerprint()
    assert list(described["graphs"]) == ["query", "passage"]
    assert not list((tmp_path / "x").glob("*/model.safetensors"))
    for part, expected, length, prefix in (
        ("query", model.encode_queries(TEXTS), 16, "query: "),
        ("passage", model.encode_passages(TEXTS), 32, ""),
    ):
        folder = tmp_path / "x" / part
        graph = openvino.Core().compile_model(folder / "openvino" / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = graph(read(folder, [prefix + text for text in TEXTS], length))["sentence_embedding"]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def run(folder: Path, inputs: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """What the OpenVINO graph in a folder makes of inputs: by their names, in their order, tensors."""
    graph = openvino.Core().compile_model(folder / "openvino" / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = json.loads((folder / "export.json").read_text())["graphs"]["."]["inputs"]
    found = graph({name: tensor.numpy() for name, tensor in zip(names, inputs, strict=False)})
    return {port.get_any_name(): found[port] for port in graph.outputs}


@pytest.mark.parametrize("layout", ["dpr", "qa"])
def test_a_reader_gives_the_logits_of_its_tokens(tmp_path: Path, layout: Layout) -> None:
    model = reader(layout)
    model.export(tmp_path / "x", "openvino")
    asked, titles, texts = ["who sings", "a"], ["the bird", ""], ["the bird sings when the sun is red", "the moon"]
    inputs = model.tokenizer.pad([window for (window,) in model.tokenizer.windows(asked, titles, texts)])
    found, text_BL = run(tmp_path / "x", tuple(one for one in inputs[:3] if one is not None)), inputs[3].numpy()
    with torch.inference_mode():
        expected = model(*inputs)
    np.testing.assert_allclose(found["start_logits"][text_BL], expected.start_BL.numpy()[text_BL], atol=1e-4)
    np.testing.assert_allclose(found["end_logits"][text_BL], expected.end_BL.numpy()[text_BL], atol=1e-4)
    assert ("relevance_logits" in found) == (layout == "dpr")
    if layout == "dpr":
        np.testing.assert_allclose(found["relevance_logits"], expected.relevance_B.numpy(), atol=1e-4)


@pytest.mark.parametrize("shared", [True, False])
def test_static_embeddings_are_exported(tmp_path: Path, shared: bool) -> None:
    model = static(shared=shared)
    model.export(tmp_path / "x", "openvino")
    assert not list((tmp_path / "x").rglob("*.safetensors"))
    folder = tmp_path / "x" / ("." if shared else "passage")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(TEXTS[2:], padding=True, truncation=True, max_length=32, return_tensors="np")
    graph = openvino.Core().compile_model(folder / "openvino" / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = graph({name: inputs[name] for name in ("input_ids", "attention_mask")})["sentence_embedding"]
    np.testing.assert_allclose(found, model.encode_passages(TEXTS[2:]), atol=1e-4)


def test_a_reranker_gives_its_logits(tmp_path: Path) -> None:
    model = cross_encoder(labels=2)
    model.export(tmp_path / "x", "openvino")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "x")
    graph = openvino.Core().compile_model(tmp_path / "x" / "openvino" / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pairs = tokenizer(["who sings", "cat"], ["the bird sings", "the dog runs when the sun is red"], padding=True, return_tensors="np")
    logits = graph({name: pairs[name] for name in ("input_ids", "attention_mask", "token_type_ids")})["logits"]
    expected = model.log_odds(["who sings", "cat"], ["the bird sings", "the dog runs when the sun is red"])
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], expected, atol=1e-4)


def beginning(folder: Path) -> Path:
    """The folder, its tokeniser with a token before each text, which a template does not want."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = TemplateProcessing(single="<|im_end|> $A", special_tokens=[("<|im_end|>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


EXAMPLES: dict[str, tuple[Callable[[Path], Pretrained[Any]], Callable[[Any], np.ndarray]]] = {
    "two towers": (lambda _: encoder("roberta", shared=False), lambda model: model.encode_queries(["a text"])),
    "static": (lambda _: static(), lambda model: model.encode_queries(["a text"])),
    "reranker": (lambda _: cross_encoder(query_prefix="q: "), lambda model: model.log_odds(["a query"], ["a text"])[:, None]),
    "language model": (
        lambda folder: CrossEncoder.from_pretrained(beginning(write_language_model(folder)), device="cpu"),
        lambda model: model.log_odds(["a query"], ["a text"])[:, None],
    ),
    "T5": (
        lambda folder: CrossEncoder.from_pretrained(write_t5(folder), device="cpu"),
        lambda model: model.log_odds(["a query"], ["a text"])[:, None],
    ),
    "DPR reader": (lambda _: reader(), lambda model: whole_window(model)),
    "question answering": (lambda _: reader("qa"), lambda model: whole_window(model)),
}


def whole_window(model: Reader) -> np.ndarray:
    """Logits of the starts of all tokens."""
    ids, mask, types, _ = model.tokenizer.pad(model.tokenizer.windows(["a question"], ["a title"], ["a text"])[0])
    with torch.inference_mode():
        return model(ids, mask, types, torch.ones_like(ids, dtype=torch.bool)).start_BL.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("family", EXAMPLES)
def test_the_example_of_a_card_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    make, expected = EXAMPLES[family]
    model = make(tmp_path / "hf")
    model.export(tmp_path / "this" / "folder", "openvino")
    card = ModelCard.load(tmp_path / "this" / "folder" / "README.md")
    assert "openvino" in card.data.tags
    assert ('backend="openvino"' in card.text) == (family in ("two towers", "reranker"))
    code = card.text.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)  # ours, from the card
    np.testing.assert_allclose(names["found"], expected(model), atol=1e-4)


def test_half_precision_is_written_in_float32(tmp_path: Path) -> None:
    model = encoder(head=8).to(torch.bfloat16)
    graph = graph_of(model.query_tower, model.tokenizer.tokenizer)
    assert {parameter.dtype for parameter in graph.module.parameters()} == {torch.float32}
    assert next(model.parameters()).dtype == torch.bfloat16


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_a_graph_that_computes_something_else_is_refused(tmp_path: Path, name: str) -> None:
    model, form = encoder(), EXPORT_FORMATS[name]
    graph = graph_of(model.query_tower, model.tokenizer.tokenizer)

    def run(path: Path) -> object:
        def off(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            right = graph.compute({key: torch.from_numpy(value) for key, value in inputs.items()})
            return {key: value.numpy() + (1e-3 if value.shape[0] == 5 else 0) for key, value in right.items()}

        return off

    with pytest.raises(ModelError, match=r"sentence_embedding.*\(5, 33\)"):
        check(graph, dataclasses.replace(form, run=run), tmp_path)


def test_what_does_not_convert_is_said_in_a_line(tmp_path: Path) -> None:
    model = encoder()
    graph = graph_of(model.query_tower, model.tokenizer.tokenizer)
    assert isinstance(graph.module, TowerGraph)
    graph.module.tower.head = Head(5, 5)
    model.tokenizer.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"OpenVINO.*5x5.*onnx"):
        write_graphs(tmp_path, EXPORT_FORMATS["openvino"], {".": graph})


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    for model, folder, name, word in (
        (encoder(), "there", "onnx", "there exists"),
        (encoder(), "x", "tflite", "onnx, openvino"),
        (encoder().at_precision("bfloat16"), "x", "onnx", "bfloat16"),
        (encoder().at_precision("int8"), "x", "onnx", "int8"),
    ):
        with pytest.raises(UsageError, match=word):
            model.export(tmp_path / folder, name)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match=r"onnxscript.*ance_ir\[export\]"):
        encoder().export(tmp_path / "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["there"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("transformers.modeling_utils.logger.warning_once", said.append)
    encoder(head=8).save(tmp_path / "model")
    asked = [str(tmp_path / "model"), "--format", "openvino", "--out", str(tmp_path / "x"), "--query-length", "9"]
    result = CliRunner().invoke(command, asked, catch_exceptions=False)
    assert result.exit_code == 0
    assert str(tmp_path / "x") in result.output
    assert json.loads((tmp_path / "x" / "export.json").read_text())["settings"]["query_length"] == 9
    assert not [text for text in said if "loss_type" in text]
    with pytest.raises(ModelError, match=r"export\.json"):
        DenseEncoder.from_pretrained(tmp_path / "x")
