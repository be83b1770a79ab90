"""Decoders of the table of published names: what their files do not say, and their own code does, is in the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast, Qwen2Config, Qwen2Model

from ance_ir.models import DenseEncoder
from tests.published import into_cache
from tests.tiny import WORDS, roberta_tokenizer

pytestmark = pytest.mark.integration

TEXTS = [" ".join(WORDS[start : start + length]) for start, length in zip(range(6), (1, 5, 20, 3, 12, 30), strict=True)]
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 48}
ASKED = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "


def write(folder: Path, kind: str, **config: Any) -> tuple[Any, PreTrainedTokenizerFast]:
    """A small decoder whose tokeniser puts ``<s>`` before a text and nothing after it; as a folder of sentence-transformers."""
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    library = pytest.importorskip("sentence_transformers")
    tokenizer = roberta_tokenizer().__class__.from_pretrained(_saved(folder.parent))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|endoftext|>"]})
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)])
    tokenizer.model_max_length = 512
    torch.manual_seed(0)
    shape = {**SHAPE, "initializer_range": 0.3, "vocab_size": len(tokenizer), "pad_token_id": 1, "max_position_embeddings": 512}
    made = (LlamaModel, LlamaConfig) if kind == "llama" else (Qwen2Model, Qwen2Config)
    made[0](made[1](**shape, **config)).eval().save_pretrained(folder.parent / "start")
    tokenizer.save_pretrained(folder.parent / "start")
    parts = [modules.Transformer(str(folder.parent / "start")), modules.Pooling(32, pooling_mode="lasttoken"), modules.Normalize()]
    library.SentenceTransformer(modules=parts, device="cpu").save(str(folder))
    return made[0].from_pretrained(folder.parent / "start", attn_implementation="eager").eval(), tokenizer


def _saved(folder: Path) -> Path:
    roberta_tokenizer().save_pretrained(folder / "tokenizer")
    return folder / "tokenizer"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def by_hand(backbone: Any, ids: list[int], *, both_ways: bool) -> np.ndarray:
    """The last token's hidden state at length 1, under a mask that is written out."""
    seen = torch.zeros(1, 1, len(ids), len(ids))
    if not both_ways:
        seen = seen.masked_fill(torch.ones(len(ids), len(ids)).triu(1).bool(), torch.finfo(torch.float32).min)
    with torch.no_grad():
        hidden = backbone(input_ids=torch.tensor([ids]), attention_mask=seen).last_hidden_state[0, -1]
    return torch.nn.functional.normalize(hidden, dim=-1).numpy()


@pytest.mark.parametrize(
    ("name", "kind", "end"),
    [
        ("intfloat/e5-mistral-7b-instruct", "llama", "</s>"),
        ("Alibaba-NLP/gte-Qwen2-1.5B-instruct", "qwen2", "<|endoftext|>"),
        ("Alibaba-NLP/gte-Qwen2-7B-instruct", "qwen2", "<|endoftext|>"),
    ],
)
def test_ends_of_texts_and_directions_of_attention(tmp_path: Path, hub: Path, name: str, kind: str, end: str) -> None:
    backbone, tokenizer = write(tmp_path / "x", kind)
    into_cache(hub, name, tmp_path / "x")
    model = DenseEncoder.from_pretrained(name, device="cpu")
    model.save(tmp_path / "saved")
    for opened in (model, DenseEncoder.from_pretrained(tmp_path / "saved", device="cpu")):
        for prefix, encode in ((ASKED, opened.encode_queries), ("", opened.encode_passages)):
            rows = [[*tokenizer(prefix + text)["input_ids"], tokenizer.convert_tokens_to_ids(end)] for text in TEXTS]
            assert all(
                row[0] == 0 and len(row) == len(tokenizer(prefix + text)["input_ids"]) + 1 for row, text in zip(rows, TEXTS, strict=True)
            )
            expected = np.stack([by_hand(backbone, row, both_ways=kind == "qwen2") for row in rows])
            np.testing.assert_allclose(encode(TEXTS), expected, atol=1e-5)
            np.testing.assert_allclose(np.concatenate([encode([text]) for text in TEXTS]), expected, atol=1e-5)


def test_a_decoder_that_says_it_attends_in_both_directions_does_alone_and_in_batches(tmp_path: Path) -> None:
    backbone, tokenizer = write(tmp_path / "x", "qwen2", is_causal=False)
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    expected = np.stack([by_hand(backbone, tokenizer(text)["input_ids"], both_ways=True) for text in TEXTS])
    np.testing.assert_allclose(model.encode_passages(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.encode_passages([text]) for text in TEXTS]), expected, atol=1e-5)


def test_an_end_that_newer_tokenisers_leave_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, tokenizer = write(tmp_path / "x", "llama")
    path = tmp_path / "x" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "add_eos_token": True}))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    ends = model.tokenizer.passages(["the king"])[0][-1] == tokenizer.eos_token_id
    assert ends or "end_token='</s>'" in caplog.text
    caplog.clear()
    ended = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", end_token="</s>")
    assert ended.tokenizer.passages(["the king"])[0][-1] == tokenizer.eos_token_id
