"""Every pooling: padding changes nothing, a saved model comes back, half precision and int8 convert it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ance_ir.errors import ModelError
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.pooling import POOLINGS
from tests.tiny import WIDTH, encoder

TEXTS = ["a", "the king of the river and the queen of the sea", "moon star", ""]
HIDDEN = torch.randn((3, 5, WIDTH), generator=torch.Generator().manual_seed(0))
LENGTHS = [5, 3, 1]
MASK = torch.tensor([[position < length for position in range(5)] for length in LENGTHS]).long()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", list(POOLINGS))
def test_padding_changes_nothing(name: str, dtype: torch.dtype) -> None:
    pool, hidden = POOLINGS[name].pool, HIDDEN.to(dtype)
    pooled = pool(hidden, MASK)
    assert (pooled.shape, pooled.dtype) == ((3, WIDTH), dtype)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(pool(hidden[row : row + 1, :length], None)[0], pooled[row])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cls", HIDDEN[:, 0]),
        ("last", torch.stack([HIDDEN[row, length - 1] for row, length in enumerate(LENGTHS)])),
        ("max", torch.stack([HIDDEN[row, :length].max(0).values for row, length in enumerate(LENGTHS)])),
        ("mean", torch.stack([HIDDEN[row, :length].mean(0) for row, length in enumerate(LENGTHS)])),
        ("sqrt-len", torch.stack([HIDDEN[row, :length].sum(0) / length**0.5 for row, length in enumerate(LENGTHS)])),
        ("mean-from-4", torch.stack([HIDDEN[0, 4], torch.zeros(WIDTH), torch.zeros(WIDTH)])),
        (
            "weighted-mean",
            torch.stack(
                [
                    (HIDDEN[0, 0] * 1 + HIDDEN[0, 1] * 2 + HIDDEN[0, 2] * 3 + HIDDEN[0, 3] * 4 + HIDDEN[0, 4] * 5) / 15,
                    (HIDDEN[1, 0] + HIDDEN[1, 1] * 2 + HIDDEN[1, 2] * 3) / 6,
                    HIDDEN[2, 0],
                ]
            ),
        ),
    ],
)
def test_what_is_pooled(name: str, expected: torch.Tensor) -> None:
    torch.testing.assert_close(POOLINGS[name].pool(HIDDEN, MASK), expected)


@pytest.mark.parametrize("name", list(POOLINGS))
def test_a_saved_model_has_its_pooling(tmp_path: Path, name: str) -> None:
    model = encoder(pooling=name)
    model.save(tmp_path / "x")
    again = DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
    assert again.query_tower.pooling == name and POOLINGS[name].shown in repr(again)
    assert again.fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(again.encode_passages(TEXTS), model.encode_passages(TEXTS))


@pytest.mark.parametrize("name", list(POOLINGS))
def test_the_modes_of_sentence_transformers_are_understood(tmp_path: Path, name: str) -> None:
    encoder(pooling=name).save(tmp_path / "x")
    path = tmp_path / "x" / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"pooling_mode": POOLINGS[name].mode or name}))
    assert DenseEncoder.from_pretrained(tmp_path / "x", device="cpu").query_tower.pooling == name


def test_names_and_flags_are_distinct() -> None:
    for attribute in ("mode", "flag", "shown", "pool"):
        assert len({getattr(pooling, attribute) for pooling in POOLINGS.values()}) == len(POOLINGS)


@pytest.mark.parametrize("name", list(POOLINGS))
def test_int8_pools_alike(name: str) -> None:
    pytest.importorskip("openvino")
    texts = [f"the cat of the {text}" for text in TEXTS]
    vectors = encoder(pooling=name, normalize=True).encode_passages(texts)
    found = encoder(pooling=name, normalize=True).at_precision("int8").encode_passages(texts)
    assert (vectors * found).sum(1).min() > 0.98


def test_a_mode_that_no_pooling_has_is_named(tmp_path: Path) -> None:
    encoder().save(tmp_path / "x")
    (tmp_path / "x" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "median"}))
    with pytest.raises(ModelError, match="median"):
        DenseEncoder.from_pretrained(tmp_path / "x", device="cpu")
