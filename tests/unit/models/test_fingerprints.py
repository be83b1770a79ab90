"""Fingerprints stay what they were: by them older indexes, kept runs and interrupted trainings know their model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.tiny import cross_encoder, encoder

FIRST: list[tuple[Any, str]] = [
    (lambda: encoder(), "a23472fd65f9df2a7ab7f6e5df356fae"),
    (lambda: encoder(shared=False, head=8), "05d986f19387283f49bf4400c164b0d3"),
    (lambda: encoder("roberta", text={"query_prefix": "query: "}, pooling="cls", normalize=True), "f4d2ba3eddbc6422052b0f69fd22ff0b"),
    (lambda: cross_encoder(), "7a8db001474da34066c7e7a7255f2707"),
    (lambda: cross_encoder("roberta", labels=2, pair_length=20), "686b1722be4c71feee763effcbb5fdab"),
]
"""Made by the versions before settings of later ones came."""


@pytest.mark.parametrize(("make", "expected"), FIRST)
def test_fingerprints_of_the_first_indexes(make: Any, expected: str) -> None:
    model = make()
    with torch.no_grad():  # the same on every machine
        for place, weight in enumerate(model.parameters()):
            weight.copy_((torch.arange(weight.numel()) % (5 + place)).reshape(weight.shape) / 8)
    assert model.fingerprint() == expected
