"""sentence-transformers' cross-encoders are opened here, and ours there, with equal scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ance_ir.models import CrossEncoder
from tests.tiny import WORDS, Architecture, classifier, cross_encoder, pair_tokenizer

sentence_transformers = pytest.importorskip("sentence_transformers")

pytestmark = pytest.mark.integration

PAIRS = [(f"what is {WORDS[number]}", " ".join(np.random.default_rng(number).choice(WORDS, 3 * number))) for number in range(24)]
PAIRS += [("", ""), ("king", ""), ("", "queen"), ("The KING", "日本 Queen"), ("a star", "moon " * 200)]
QUERIES, TEXTS = zip(*PAIRS, strict=True)


def write(folder: Path, architecture: Architecture = "bert", labels: int = 1) -> Path:
    classifier(architecture, labels).save_pretrained(folder)
    pair_tokenizer(architecture).save_pretrained(folder)
    return folder


def theirs(folder: Path) -> Any:
    return sentence_transformers.CrossEncoder(str(folder), device="cpu")


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(found) > 0.05


@pytest.mark.parametrize("activation", [None, "Identity", "Sigmoid"])
@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "modernbert"])
def test_a_folder_that_sentence_transformers_saved(tmp_path: Path, architecture: Architecture, activation: str | None) -> None:
    import torch

    function = getattr(torch.nn, activation)() if activation else None
    start = write(tmp_path / "hf", architecture)
    other = sentence_transformers.CrossEncoder(str(start), device="cpu", max_length=40, activation_fn=function)
    other.save_pretrained(str(tmp_path / "x"))
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert (model.settings.pair_length, model.settings.score) == (40, "logit" if activation == "Identity" else "probability")
    close(model.score(QUERIES, TEXTS), other.predict(PAIRS))
    close(model.score(QUERIES, TEXTS), theirs(tmp_path / "x").predict(PAIRS))


def test_a_folder_with_a_prompt_and_lower_casing(tmp_path: Path) -> None:
    start = write(tmp_path / "hf", "roberta")
    sentence_transformers.CrossEncoder(
        str(start), device="cpu", prompts={"ask": "query: "}, default_prompt_name="ask", max_length=50
    ).save_pretrained(str(tmp_path / "x"))
    path = tmp_path / "x" / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_lower_case": True}))
    model = CrossEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert (model.settings.query_prefix, model.settings.lower_case) == ("query: ", True)
    close(model.score(QUERIES, TEXTS), theirs(tmp_path / "x").predict(PAIRS))


@pytest.mark.parametrize(
    "said",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1.0"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid"},
    ],
)
def test_a_folder_of_its_versions_before_6(tmp_path: Path, said: dict[str, Any]) -> None:
    path = write(tmp_path / "x") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    close(CrossEncoder.from_pretrained(tmp_path / "x", device="cpu").score(QUERIES, TEXTS), theirs(tmp_path / "x").predict(PAIRS))


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_what_we_save_is_opened(tmp_path: Path, architecture: Architecture, score: str) -> None:
    model = cross_encoder(architecture, score=score, query_prefix="query: ", lower_case=True, pair_length=48)
    model.save(tmp_path / "x")
    other = theirs(tmp_path / "x")
    assert other.max_seq_length == 48
    close(model.score(QUERIES, TEXTS), other.predict(PAIRS))


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_two_logits_are_opened(tmp_path: Path, score: str) -> None:
    model = cross_encoder(labels=2, score=score)
    model.save(tmp_path / "x")
    logits = theirs(tmp_path / "x").predict(PAIRS)
    assert logits.shape == (len(PAIRS), 2)
    close(model.score(QUERIES, TEXTS), logits[:, 1] if score == "probability" else logits[:, 1] - logits[:, 0])


def test_a_folder_of_ours_as_its_versions_4_and_5_read_it(tmp_path: Path) -> None:
    cross_encoder(score="probability").save(tmp_path / "x")
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    assert config["sentence_transformers"] == {"activation_fn": "torch.nn.modules.activation.Sigmoid"}
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "ance_ir.json"):
        (tmp_path / "x" / name).unlink()
    assert CrossEncoder.from_pretrained(tmp_path / "x", device="cpu").settings.score == "probability"
