"""Tiny sparse and multi-vector encoders of sentence-transformers, in the layouts that others publish."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentence_transformers import MultiVectorEncoder as LibraryMultiVector
from sentence_transformers import SparseEncoder as LibrarySparse
from sentence_transformers.base.modules import Normalize, Router, Transformer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from transformers import BertConfig, BertForMaskedLM, BertModel

from tests.tiny import POSITIONS, WIDTH, bert_tokenizer

_SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "initializer_range": 0.3}
_LENGTHS = {"query_length": 16, "document_length": 32}
OUT = 8
"""The dimension of token vectors."""


def _config() -> BertConfig:
    return BertConfig(hidden_size=WIDTH, vocab_size=len(bert_tokenizer()), max_position_embeddings=POSITIONS, **_SHAPE)


def write_masked(folder: Path, seed: int = 0) -> Path:
    """A masked language model, alone; a text has a weight for about a tenth of the vocabulary."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForMaskedLM(_config())
        model.cls.predictions.bias.data.fill_(-3)
    model.save_pretrained(folder)
    bert_tokenizer().save_pretrained(folder)
    return folder


def write_splade(folder: Path, seed: int = 0) -> Path:
    """A folder of sentence-transformers' ``SparseEncoder``."""
    masked = write_masked(folder.with_name(f"{folder.name}-masked"), seed)
    LibrarySparse(modules=[Transformer(str(masked), transformer_task="fill-mask"), SpladePooling("max")], device="cpu").save(str(folder))
    return folder


def write_two_routes(folder: Path, seed: int = 0) -> Path:
    """A folder of sentence-transformers' ``SparseEncoder`` whose queries are looked up, and only documents go through a transformer."""
    masked = write_masked(folder.with_name(f"{folder.name}-masked"), seed)
    documents = [Transformer(str(masked), transformer_task="fill-mask"), SpladePooling("max")]
    routes = Router.for_query_document(query_modules=[SparseStaticEmbedding(tokenizer=bert_tokenizer())], document_modules=documents)
    LibrarySparse(modules=[routes], device="cpu").save(str(folder))
    return folder


def _backbone(folder: Path, seed: int) -> tuple[BertModel, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, projection = BertModel(_config()).eval(), torch.randn(OUT, WIDTH)
    bert_tokenizer().save_pretrained(folder)
    return model, projection


def write_backbone(folder: Path, seed: int = 0) -> Path:
    """A BERT with its tokeniser, of which PyLate makes a model."""
    _backbone(folder, seed)[0].save_pretrained(folder)
    return folder


def write_multi_vector(folder: Path, seed: int = 0) -> Path:
    """A folder of sentence-transformers' ``MultiVectorEncoder``."""
    backbone = folder.with_name(f"{folder.name}-backbone")
    model, projection = _backbone(backbone, seed)
    model.save_pretrained(backbone)
    dense = Dense(
        WIDTH, OUT, bias=False, activation_function=torch.nn.Identity(), init_weight=projection, module_input_name="token_embeddings"
    )
    modules = [Transformer(str(backbone), **_LENGTHS), dense, MultiVectorMask(skiplist_words=["."]), Normalize("token_embeddings")]
    LibraryMultiVector(modules=modules, device="cpu").save(str(folder))
    return folder


def write_stanford(folder: Path, seed: int = 0) -> Path:
    """A folder as Stanford's ColBERT writes it: the projection among the backbone's weights, settings in ``artifact.metadata``."""
    folder.mkdir()
    model, projection = _backbone(folder, seed)
    weights = {f"bert.{name}": weight for name, weight in model.state_dict().items()}
    save_file(weights | {"linear.weight": projection}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**model.config.to_dict(), "architectures": ["HF_ColBERT"]}))
    settings = {"query_maxlen": 16, "doc_maxlen": 32, "mask_punctuation": True, "attend_to_mask_tokens": False}
    (folder / "artifact.metadata").write_text(json.dumps({**settings, "query_token_id": "[MASK]", "doc_token_id": "[UNK]"}))
    return folder


def write_pylate(folder: Path, seed: int = 0) -> Path:
    """A folder as PyLate writes it: its own class of projections, settings beside the versions."""
    folder.mkdir()
    model, projection = _backbone(folder, seed)
    model.save_pretrained(folder)
    modules = [("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense")]
    (folder / "modules.json").write_text(
        json.dumps([{"idx": idx, "name": str(idx), "path": path, "type": kind} for idx, (path, kind) in enumerate(modules)])
    )
    (folder / "1_Dense").mkdir()
    (folder / "1_Dense" / "config.json").write_text(
        json.dumps({"in_features": WIDTH, "out_features": OUT, "bias": False, "activation_function": "torch.nn.modules.linear.Identity"})
    )
    save_file({"linear.weight": projection}, folder / "1_Dense" / "model.safetensors", metadata={"format": "pt"})
    settings = {"query_prefix": "[MASK] ", "document_prefix": "[UNK] ", "do_query_expansion": True, "attend_to_expansion_tokens": False}
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"model_type": "ColBERT", "similarity_fn_name": "MaxSim", **_LENGTHS, **settings, "skiplist_words": [",", "."]})
    )
    return folder


LAYOUTS: Mapping[str, Callable[[Path], Path]] = {
    "sentence-transformers": write_multi_vector,
    "stanford": write_stanford,
    "pylate": write_pylate,
}
