"""Static embeddings: vectors as in sentence-transformers, alone and in batches; saved, trained and indexed like other models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ance_ir.errors import ModelError, UsageError
from ance_ir.models import DenseEncoder
from tests.tiny import WORDS, bert_tokenizer, encoder, roberta_tokenizer

sentence_transformers = pytest.importorskip("sentence_transformers")

pytestmark = pytest.mark.integration

TEXTS = [" ".join(WORDS[start : start + length]) for start, length in zip(range(8), (1, 5, 20, 3, 0, 12, 30, 400), strict=True)]


def written(folder: Path, *more: str, tokenizer: Any = None, length: int | None = None, **options: Any) -> Any:
    """A folder of the library, and the library's model of it."""
    from sentence_transformers.sentence_transformer import modules

    backend = (tokenizer or bert_tokenizer()).backend_tokenizer
    backend = type(backend).from_str(backend.to_str())
    if length is not None:
        backend.enable_truncation(length)
    torch.manual_seed(0)
    weights = torch.randn(backend.get_vocab_size(), 24)
    parts: list[Any] = [modules.StaticEmbedding(backend, embedding_weights=weights)]
    for name in more:
        parts.append(modules.Dense(24, 12, activation_function=torch.nn.Tanh()) if name == "Dense" else getattr(modules, name)())
    other = sentence_transformers.SentenceTransformer(modules=parts, device="cpu", **{"similarity_fn_name": "dot", **options})
    other.save(str(folder))
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu")


def same(model: DenseEncoder, other: Any) -> None:
    expected = other.encode(TEXTS)
    np.testing.assert_allclose(model.encode_passages(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.encode_queries([text]) for text in TEXTS]), expected, atol=1e-5)


@pytest.mark.parametrize("tokenizer", [bert_tokenizer, roberta_tokenizer])
@pytest.mark.parametrize("more", [(), ("Normalize",), ("Dense",), ("Dense", "Normalize")])
@pytest.mark.parametrize("length", [None, 9])
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path, tokenizer: Any, more: tuple[str, ...], length: int | None) -> None:
    other = written(tmp_path / "x", *more, tokenizer=tokenizer(), length=length)
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    same(model, other)
    model.save(tmp_path / "again")
    again = DenseEncoder.from_pretrained(tmp_path / "again", device="cpu")
    assert again.fingerprint() == model.fingerprint() and "static-embedding" in repr(again)
    same(again, sentence_transformers.SentenceTransformer(str(tmp_path / "again"), device="cpu"))


def test_dimensions_and_prompts(tmp_path: Path) -> None:
    other = written(tmp_path / "x", truncate_dim=8, similarity_fn_name="cosine", prompts={"query": "the query: "})
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert model.dimension == 8
    unit = other.encode_query(TEXTS[:3], normalize_embeddings=True)
    np.testing.assert_allclose(model.encode_queries(TEXTS[:3]), unit, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_model2vec_folders(tmp_path: Path, weighted: bool, mapped: bool) -> None:
    written(tmp_path / "x")
    path = tmp_path / "x" / "model.safetensors"
    table = load_file(path)["embedding.weight"]
    generator = torch.Generator().manual_seed(1)
    weights = {"embeddings": table}
    if mapped:
        weights |= {"embeddings": table[:10].clone(), "mapping": torch.randint(0, 10, (len(table),), generator=generator)}
    if weighted:
        weights |= {"weights": torch.rand(len(table), generator=generator, dtype=torch.float64)}
    save_file(weights, path)
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    same(model, sentence_transformers.SentenceTransformer(str(tmp_path / "x"), device="cpu"))


def test_settings_of_a_saved_model_are_those_of_its_tokeniser(tmp_path: Path) -> None:
    written(tmp_path / "x", tokenizer=roberta_tokenizer())
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", lower_case=True, passage_length=5)
    model.save(tmp_path / "again")
    other = sentence_transformers.SentenceTransformer(str(tmp_path / "again"), device="cpu")
    texts = ["The CAT", TEXTS[2].upper()]
    np.testing.assert_allclose(model.encode_passages(texts), other.encode(texts), atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions(tmp_path: Path, precision: Any) -> None:
    if precision == "int8":
        pytest.importorskip("openvino")
    written(tmp_path / "x", "Dense")
    plain, other = (DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", precision=one) for one in (None, precision))
    np.testing.assert_allclose(other.encode_passages(TEXTS[:4]), plain.encode_passages(TEXTS[:4]), atol=0.05)


def test_a_router_of_a_table_and_a_transformer(tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer import modules

    encoder().save(tmp_path / "start")
    written(tmp_path / "static")
    table = modules.StaticEmbedding(bert_tokenizer().backend_tokenizer, embedding_weights=torch.randn(len(bert_tokenizer()), 32))
    parts = [modules.Transformer(str(tmp_path / "start"), max_seq_length=24), modules.Pooling(32)]
    router = modules.Router.for_query_document(query_modules=[table], document_modules=parts)
    other = sentence_transformers.SentenceTransformer(modules=[router], device="cpu", similarity_fn_name="dot")
    other.save(str(tmp_path / "x"))
    with pytest.raises(ModelError, match="different tokenisers"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")


def _without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _with_weights(**weights: torch.Tensor) -> Any:
    return lambda folder: save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_without_tokenizer, "tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"version": '), "tokenizer.json"),
        (_with_weights(embedding=torch.ones(3, 4)), "embedding.weight"),
        (_with_weights(embeddings=torch.ones(3, 4)), "3 rows"),
        (_with_weights(embeddings=torch.ones(3, 4).to(torch.int8)), "int8"),
        (_with_weights(embeddings=torch.ones(3, 4), mapping=torch.tensor([0, 3])), "mapping.*0 to 3 of 3"),
        (_with_weights(embeddings=torch.ones(3, 4), weights=torch.ones(2)), "weights"),
    ],
)
def test_folders_that_are_not_whole_are_refused(tmp_path: Path, change: Any, named: str) -> None:
    written(tmp_path / "x")
    change(tmp_path / "x")
    with pytest.raises(ModelError, match=named):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")


def test_a_table_is_trained(tmp_path: Path) -> None:
    written(tmp_path / "x")
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu").train()
    model.query_tower.backbone.gradient_checkpointing_enable()
    ids = torch.tensor([[7, 8, 9]])
    model.query_tower(ids, None).sum().backward()
    grown = model.query_tower.backbone.get_parameter("embedding.weight").grad
    assert grown is not None and grown.abs().sum(1).nonzero().flatten().tolist() == ids.flatten().tolist()


def test_a_table_has_no_layers_to_keep(tmp_path: Path) -> None:
    written(tmp_path / "x")
    with pytest.raises(UsageError, match="static-embedding"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", layers=1)


def test_a_pooling_after_a_table_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "x")
    path = tmp_path / "x" / "modules.json"
    pooling = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    path.write_text(json.dumps([*json.loads(path.read_text()), pooling]))
    with pytest.raises(ModelError, match="StaticEmbedding, Pooling"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
