"""Backbones of many architectures, decoders and T5's encoders among them: vectors as in sentence-transformers, alone and in batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from ance_ir.models import DenseEncoder
from tests.tiny import WORDS, roberta_tokenizer

sentence_transformers = pytest.importorskip("sentence_transformers")

pytestmark = pytest.mark.integration

TEXTS = [" ".join(WORDS[start : start + length]) for start, length in zip(range(6), (1, 5, 20, 3, 12, 30), strict=True)]

WORDS_OF = {"vocab_size": len(roberta_tokenizer()), "pad_token_id": 1}
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, **WORDS_OF}
GROUPED = {**SHAPE, "bos_token_id": 0, "eos_token_id": 2, "num_key_value_heads": 1, "head_dim": 16}
T5 = {"d_model": 32, "d_ff": 48, "d_kv": 16, "num_layers": 2, "num_heads": 2, "eos_token_id": 2, "decoder_start_token_id": 1, **WORDS_OF}
CONFIGS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("qwen3", "qwen2", "mistral", "llama", "gemma"), GROUPED),
    "gemma3_text": {**GROUPED, "query_pre_attn_scalar": 16, "use_bidirectional_attention": True},
    **dict.fromkeys(("t5", "mt5", "umt5"), T5),
    "modernbert": {**SHAPE, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, **WORDS_OF},
    **{kind: {**SHAPE, "embedding_size": 16} for kind in ("albert", "electra")},
    **dict.fromkeys(("deberta-v2", "eurobert", "gte", "jina_embeddings_v3", "mpnet", "nomic_bert", "xlm-roberta"), SHAPE),
}


def _model(kind: str) -> Any:
    if kind not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} does not have {kind}")
    config = transformers.CONFIG_MAPPING[kind](**CONFIGS[kind])
    torch.manual_seed(0)
    encoders = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
    return getattr(transformers, encoders[kind])(config) if kind in encoders else transformers.AutoModel.from_config(config)


@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if "head_dim" in CONFIGS[kind]])
def test_decoders_padded_on_the_left_by_others_give_the_same(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentence_transformers.sentence_transformer import modules

    monkeypatch.setenv("TQDM_DISABLE", "1")
    _model(kind).save_pretrained(tmp_path / "start")
    roberta_tokenizer().save_pretrained(tmp_path / "start")
    path = tmp_path / "start" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "padding_side": "left"}))
    parts = [modules.Transformer(str(tmp_path / "start"), max_seq_length=24), modules.Pooling(32, pooling_mode="lasttoken")]
    other = sentence_transformers.SentenceTransformer(modules=[*parts, modules.Normalize()], device="cpu")
    assert other.tokenizer.padding_side == "left"
    other.save(str(tmp_path / "x"))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    expected = other.encode(TEXTS)
    np.testing.assert_allclose(model.encode_passages(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.encode_passages([text]) for text in TEXTS]), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["qwen3", "mistral", "t5"])
def test_weights_in_bfloat16_stay_as_they_are(tmp_path: Path, kind: str) -> None:
    theirs = _model(kind).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path / "x")
    roberta_tokenizer().save_pretrained(tmp_path / "x")
    for name in ("x", "again"):
        model = DenseEncoder.from_pretrained(tmp_path / name, device="cpu", pooling="last", similarity="cosine")
        assert model.precision == "bfloat16"
        ours = model.query_tower.backbone.state_dict()
        assert all(torch.equal(tensor, ours[key]) and ours[key].dtype == tensor.dtype for key, tensor in theirs.state_dict().items())
        vectors = model.encode_passages(TEXTS)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        model.save(tmp_path / "again")


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentence_transformers.sentence_transformer import modules

    monkeypatch.setenv("TQDM_DISABLE", "1")
    _model(kind).save_pretrained(tmp_path / "start")
    roberta_tokenizer().save_pretrained(tmp_path / "start")
    pooling = "lasttoken" if "head_dim" in CONFIGS[kind] else "mean"
    dense = modules.Dense(32, 12, bias=False, activation_function=torch.nn.Identity())  # as sentence-t5 has it
    parts = [modules.Transformer(str(tmp_path / "start"), max_seq_length=24), modules.Pooling(32, pooling_mode=pooling), dense]
    other = sentence_transformers.SentenceTransformer(modules=[*parts, modules.Normalize()], device="cpu")
    other.save(str(tmp_path / "x"))
    model = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    expected = other.encode(TEXTS)
    np.testing.assert_allclose(model.encode_passages(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.encode_passages([text]) for text in TEXTS]), expected, atol=1e-5)
    model.save(tmp_path / "again")
    again = DenseEncoder.from_pretrained(tmp_path / "again", device="cpu")
    assert again.fingerprint() == model.fingerprint()
    np.testing.assert_allclose(
        sentence_transformers.SentenceTransformer(str(tmp_path / "again"), device="cpu").encode(TEXTS), expected, atol=1e-5
    )
    cut = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu", layers=1) if kind != "albert" else None
    assert cut is None or np.isfinite(cut.encode_passages(TEXTS)).all()
