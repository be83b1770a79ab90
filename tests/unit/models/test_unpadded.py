"""Batches without padding: the same vectors and gradients as with it, for every type of backbone that is computed so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

import ance_ir.models.dense.encoding as encoding
import ance_ir.training.objectives.dense as dense
from ance_ir.models import DenseEncoder, Tower
from ance_ir.models.compute.batching import pad_flat
from ance_ir.models.dense.unpadded import UNPADDED, Sequences, _flash, unpadded, unpads
from tests.tiny import WORDS, encoder

LENGTHS = np.array([7, 3, 20, 1, 20])
IDS = np.random.default_rng(1).integers(0, 50, LENGTHS.sum()).astype(np.int32)
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "initializer_range": 0.3, "vocab_size": 50}


def tower(kind: str, **options: Any) -> Tower:
    """Of RoBERTa's kin the padding token is among those of the texts."""
    config = AutoConfig.for_model(kind, hidden_size=32, max_position_embeddings=66, **SHAPE)
    if kind != "distilbert":
        config.pad_token_id = 1
    torch.manual_seed(0)
    return Tower(AutoModel.from_config(config), **{"pooling": "mean", **options})


@pytest.mark.parametrize("kind", UNPADDED)
@pytest.mark.parametrize("pooling", ["cls", "mean+max", "last"])
def test_vectors_are_those_of_padded_batches(kind: str, pooling: str) -> None:
    made = tower(kind, pooling=pooling).eval()
    if kind in ("bert", "electra"):
        made.separator = 5  # token types
    config = made.backbone.config.to_dict()
    padded_BD = made(*pad_flat(IDS, LENGTHS, 0))
    torch.testing.assert_close(unpadded(made, IDS, LENGTHS), padded_BD, atol=1e-5, rtol=1e-5)
    assert torch.equal(made(*pad_flat(IDS, LENGTHS, 0)), padded_BD), "padded batches are computed as before"
    assert made.backbone.config.to_dict() == config
    same = np.full(3, 4)
    torch.testing.assert_close(unpadded(made, IDS[:12], same), made(*pad_flat(IDS[:12], same, 0)), atol=1e-5, rtol=1e-5)


def test_a_sequence_does_not_see_the_others() -> None:
    made = tower("bert").eval()
    changed = IDS.copy()
    changed[: LENGTHS[0]] += 1
    before, after = unpadded(made, IDS, LENGTHS), unpadded(made, changed, LENGTHS)
    assert torch.equal(before[1:], after[1:]) and not torch.equal(before[0], after[0])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_padded_batches(checkpointing: bool) -> None:
    found = []
    for compute in (unpadded, lambda made, *flat: made(*pad_flat(*flat, 0))):
        made = tower("bert")
        made.backbone.config.attention_probs_dropout_prob = 0.0
        if checkpointing:
            made.backbone.gradient_checkpointing_enable({"use_reentrant": False})
        made.train()
        for module in made.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        compute(made, IDS, LENGTHS).square().sum().backward()
        found.append({name: weight.grad for name, weight in made.named_parameters() if weight.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], atol=1e-4, rtol=1e-3)


def test_torchs_flash_attention_takes_what_it_is_given() -> None:
    """Without a GPU it computes nothing, but says whether it takes these arguments, and has gradients."""
    meta = torch.device("meta")
    query, key, value = (torch.empty((LENGTHS.sum(), 2, 16), dtype=torch.bfloat16, device=meta, requires_grad=True) for _ in range(3))
    attended = _flash(query, key, value, Sequences.of(LENGTHS, meta), 0.1, None)
    assert attended.shape == query.shape
    attended.sum().backward()
    assert query.grad is not None and value.grad is not None


def test_tokens_are_counted_within_their_sequence() -> None:
    sequences = Sequences.of(np.array([3, 1, 2]), torch.device("cpu"))
    assert sequences.place_T.tolist() == [0, 1, 2, 0, 0, 1]
    assert sequences.counted(torch.tensor([True, False, True, True, True, True])).tolist() == [0, 1, 1, 0, 0, 1]


def test_a_processor_pads() -> None:
    assert not unpads(tower("bert"), LENGTHS)


def test_encoding_and_training_take_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(0, 40))) for _ in range(50)]
    expected = encoder().encode_passages(texts)
    for module in (encoding, dense):
        monkeypatch.setattr(module, "unpads", lambda tower, lengths: True)
    model = encoder()
    seen: list[int] = []
    with model.passage_tower.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numel())):
        np.testing.assert_allclose(model.encode_passages(texts), expected, atol=1e-5)
    assert sum(seen) == sum(map(len, model.tokenizer.passages(texts))), "without padding"
    model.save(tmp_path)
    assert DenseEncoder.from_pretrained(tmp_path).fingerprint() == encoder().fingerprint()
