"""Encoders cut to their first layers."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from transformers import AlbertConfig, AlbertModel, AutoModel, T5Config, T5EncoderModel

from ance_ir.errors import UsageError
from ance_ir.models import DenseEncoder
from ance_ir.models.loading.backbones import keep_layers
from ance_ir.training.run.optimisation import gradient_norms
from tests.published import dpr_encoders, write_dpr
from tests.tiny import Architecture, classifier, encoder, pair_tokenizer

TEXTS = ["the cat sleeps", "a", "dense retrieval of a small dog", "who sings when the moon is red"]


def _write(folder: Path, architecture: Architecture) -> Path:
    """A bare backbone of two layers."""
    classifier(architecture).base_model.save_pretrained(folder)
    pair_tokenizer(architecture).save_pretrained(folder)
    return folder


def _count_in_settings(folder: Path) -> int:
    config = AutoModel.from_pretrained(folder).config
    return int(config.num_hidden_layers)


CASES = [(kind, layers) for kind in get_args(Architecture) for layers in (0, 1, 2) if layers or kind != "modernbert"]


@pytest.mark.parametrize(("architecture", "layers"), CASES)
def test_vectors_are_those_of_the_hidden_states_after_so_many_layers(tmp_path: Path, architecture: Architecture, layers: int) -> None:
    folder = _write(tmp_path / "x", architecture)
    whole = AutoModel.from_pretrained(folder).eval()
    model = DenseEncoder.from_pretrained(folder, layers=layers, device="cpu")
    expected = []
    for text in TEXTS:
        ids = torch.tensor([model.tokenizer.passages([text])[0]])
        with torch.no_grad():
            hidden = whole(input_ids=ids, output_hidden_states=True).hidden_states[layers]
            if architecture == "modernbert" and layers < 2:  # its last norm comes after the last layer that there is
                hidden = whole.final_norm(hidden)
        expected.append(torch.nn.functional.normalize(hidden[0].mean(0), dim=0).numpy())
    np.testing.assert_allclose(model.encode_passages(TEXTS), np.stack(expected), atol=1e-5)
    told = "" if layers == 2 else f", the first {layers} of 2 layers"
    assert model.origin.layout == f"backbone{told}"


@pytest.mark.parametrize(("architecture", "layers"), CASES)
def test_a_shortened_encoder_is_saved_and_opened(tmp_path: Path, architecture: Architecture, layers: int) -> None:
    model = DenseEncoder.from_pretrained(_write(tmp_path / "x", architecture), layers=layers, device="cpu")
    model.save(tmp_path / "y")
    again = DenseEncoder.from_pretrained(tmp_path / "y", device="cpu")
    assert again.fingerprint() == model.fingerprint()
    assert _count_in_settings(tmp_path / "y") == layers
    np.testing.assert_array_equal(again.encode_passages(TEXTS), model.encode_passages(TEXTS))


@pytest.mark.integration
@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("layers", [0, 1])
def test_sentence_transformers_opens_a_shortened_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: Architecture, layers: int
) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    model = DenseEncoder.from_pretrained(_write(tmp_path / "x", architecture), layers=layers, device="cpu")
    model.save(tmp_path / "y")
    other = sentence_transformers.SentenceTransformer(str(tmp_path / "y"), device="cpu")
    np.testing.assert_allclose(other.encode(TEXTS), model.encode_passages(TEXTS), atol=1e-5)


def test_both_towers_are_shortened(tmp_path: Path) -> None:
    write_dpr(tmp_path / "x", dpr_encoders())
    whole = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    model = DenseEncoder.from_pretrained(tmp_path / "x", layers=1, device="cpu")
    for tower, uncut in ((model.query_tower, whole.query_tower), (model.passage_tower, whole.passage_tower)):
        ids = torch.tensor([model.tokenizer.queries(["the cat sleeps"])[0]])
        with torch.no_grad():
            expected = uncut.backbone(input_ids=ids, output_hidden_states=True).hidden_states[1][0, 0]
            torch.testing.assert_close(tower(ids, None)[0], expected)
    model.save(tmp_path / "y")
    assert DenseEncoder.from_pretrained(tmp_path / "y", device="cpu").fingerprint() == model.fingerprint()


def test_many_texts_are_encoded_without_layers(tmp_path: Path) -> None:
    encoder(head=8).save(tmp_path / "x")
    model = DenseEncoder.from_pretrained(tmp_path / "x", layers=0, device="cpu")
    many = model.encode_passages(TEXTS * 300)  # enough for the weights to be packed
    np.testing.assert_allclose(many[: len(TEXTS)], model.encode_passages(TEXTS), atol=1e-5)
    model.train()
    model.query_tower(torch.tensor([[2, 7, 3]]), None).sum().backward()
    assert gradient_norms(model).keys() == {"embeddings", "head"}


@pytest.mark.parametrize("layers", [-1, 3])
def test_layers_that_are_not_there_are_refused(tmp_path: Path, layers: int) -> None:
    encoder().save(tmp_path / "x")
    with pytest.raises(UsageError, match=f"0 to 2.*{layers}"):
        DenseEncoder.from_pretrained(tmp_path / "x", layers=layers, device="cpu")


def test_modernbert_keeps_a_layer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 to 2.*0"):
        DenseEncoder.from_pretrained(_write(tmp_path / "x", "modernbert"), layers=0, device="cpu")


def test_a_backbone_with_its_layers_elsewhere_is_refused() -> None:
    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    backbone = AlbertModel(AlbertConfig(vocab_size=9, embedding_size=4, **shape))  # one layer, used again and again
    with pytest.raises(UsageError, match=r"\balbert\b"):
        keep_layers(backbone, 1)


def test_the_encoder_of_t5_is_cut() -> None:
    backbone = T5EncoderModel(T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=2, num_heads=2))
    assert keep_layers(backbone, 1) == 2
    assert (len(backbone.encoder.block), backbone.config.num_hidden_layers) == (1, 1)
