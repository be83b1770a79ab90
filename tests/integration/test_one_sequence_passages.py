"""``chunks`` gives the vectors of the reference's MaxP, computed as its forward pass does: padded, reshaped, all positions encoded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ance_ir.indexes import Chunks, MaxP
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.published import find_published, published_models
from tests.command import Run
from tests.published import DIMENSION, ance_weights, into_cache, write_ance
from tests.tiny import POSITIONS, WORDS, backbone, encoder, roberta_tokenizer

pytestmark = pytest.mark.integration

LENGTH, COUNT = 16, 4


def words(tokens: int) -> str:
    """A text of so many tokens, special ones included."""
    text = " ".join((WORDS * 20)[: tokens - 2])
    assert len(roberta_tokenizer()(text)["input_ids"]) == tokens
    return text


TEXTS = [words(tokens) for tokens in (2, 5, 16, 17, 31, 32, 33, 64, 65, 100)]


def reference(texts: list[str]) -> list[np.ndarray]:
    """One padded sequence of ``COUNT × LENGTH`` tokens a text, encoded in pieces; a piece of padding alone is left out."""
    weights, roberta = ance_weights(), backbone("roberta")
    read = roberta_tokenizer()(texts, truncation=True, max_length=COUNT * LENGTH, padding="max_length", return_tensors="pt")
    ids, mask = (read[name].view(-1, LENGTH) for name in ("input_ids", "attention_mask"))
    with torch.no_grad():
        first = roberta(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        linear = nn.functional.linear(first, weights["embeddingHead.weight"], weights["embeddingHead.bias"])
        vectors = nn.functional.layer_norm(linear, (DIMENSION,), weights["norm.weight"], weights["norm.bias"], 1e-5)
    pieces = zip(vectors.view(-1, COUNT, DIMENSION), mask.view(-1, COUNT, LENGTH)[:, :, 0] > 0, strict=True)
    return [own[read_at_all].numpy() for own, read_at_all in pieces]


def test_vectors_are_those_of_the_references_forward_pass(tmp_path: Path) -> None:
    model = DenseEncoder.from_pretrained(write_ance(tmp_path / "x", ance_weights()), device="cpu", lower_case=False)
    expected = reference(TEXTS)
    vectors, counts = model.encode_documents(TEXTS, Chunks(LENGTH, COUNT))
    assert counts.tolist() == [1, 1, 1, 2, 2, 2, 3, 4, 4, 4] == [len(own) for own in expected]
    np.testing.assert_allclose(vectors, np.concatenate(expected), rtol=1e-5, atol=1e-5)
    ours, _ = model.encode_documents(TEXTS, MaxP(LENGTH, COUNT))
    assert np.abs(ours[3] - vectors[3]).max() > 0.1, "passages with special tokens of their own are others"


@pytest.mark.parametrize("settings", [{}, {"passage_prefix": "passage: "}, {"title_pair": True}])
def test_a_document_is_one_sequence_whatever_comes_before_its_text(settings: dict[str, Any]) -> None:
    model = encoder().with_settings(passage_length=POSITIONS, **settings)
    document = model.settings.join({"docno": "d", "title": "the red moon", "text": " ".join(WORDS * 2)})
    (chunks,) = model.tokenizer.cut([document], Chunks(LENGTH, COUNT)).lists()
    assert [token for chunk in chunks for token in chunk] == model.tokenizer.passages([document])[0]
    assert [len(chunk) for chunk in chunks[:-1]] == [LENGTH] * (len(chunks) - 1) and len(chunks) > 1


@pytest.mark.parametrize("written", ["{}", "hf:{}", "{}@main", "hf:{}@main"])
def test_the_published_maxp_is_indexed_so_unless_another_scheme_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, written: str
) -> None:
    """However its name is written. The stand-in has 64 positions, so its pieces are shorter than those of the table."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("ANCE_IR_CACHE", str(tmp_path / "cache"))
    name = "castorini/ance-msmarco-doc-maxp"
    known = find_published(written.format(name))
    assert known.passages == "chunks:512,4"
    monkeypatch.setitem(published_models(), name, replace(known, passages="chunks:16,4"))
    into_cache(tmp_path / "hub", name, write_ance(tmp_path / "x", ance_weights("ance_encoder."), "AnceEncoder"))
    (tmp_path / "corpus.jsonl").write_text('{"docno": "d", "text": "the cat sleeps"}\n')
    command = ["index", "--dataset", tmp_path, "--model", written.format(name), "--device", "cpu", "--out"]
    for folder, options, passages in (("x", [], "chunks:16,4"), ("y", ["--passages", "maxp:16,2"], "maxp:16,2")):
        status, _, err = run(*command, tmp_path / folder, *options)
        assert status == 0, err
        encoding = json.loads((tmp_path / folder / "manifest.json").read_text())["encoding"]
        assert (encoding["passages"], encoding["text"]["separator"]) == (passages, "<sep>")
