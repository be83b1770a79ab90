"""Weights are hashed once while they stay as they are, and never taken for what they were before."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
import torch
from torch import Tensor

import ance_ir.models.dense.model as dense
from ance_ir.indexes import FirstP
from ance_ir.models.loading.hashing import hash_parts, hash_weights, state_of
from tests.tiny import encoder

CHANGES: dict[str, Callable[[Tensor], object]] = {
    "in place": lambda weight: weight.detach().mul_(2),
    "one bit of one number": lambda weight: weight.detach().reshape(-1).view(torch.uint8)[-1:].bitwise_xor_(1),
    "rows change places": lambda weight: weight.data.copy_(weight.data.flip(0).clone()),
    "columns change places": lambda weight: weight.data.copy_(weight.data.roll(8 // weight.itemsize, -1)),
    "another type": lambda weight: setattr(weight, "data", weight.data.double()),
}


@pytest.mark.parametrize("shape", [(4, 6), (4, 5), (5,), (3, 2, 7), ()], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64], ids=str)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows(shape: tuple[int, ...], dtype: torch.dtype, change: str) -> None:
    if not shape and "change places" in change:
        pytest.skip("there is one number")
    torch.manual_seed(0)
    weight = torch.nn.Parameter((torch.randn(shape) * 100).to(dtype), requires_grad=False)
    before = state_of({"w": weight})
    assert before == state_of({"w": weight.clone()}) != state_of({"v": weight})
    CHANGES[change](weight)
    assert state_of({"w": weight}) != before


def test_weights_that_lie_anywhere_are_told_apart() -> None:
    whole = torch.arange(1.0, 30.0)
    for weight in (
        whole[1:25].view(4, 6),
        whole[:24].view(6, 4).T,
        torch.zeros(0, 4),
        torch.zeros(3, 0),
        whole[:6].as_strided((1, 6), (5, 1)),
    ):
        assert state_of({"w": weight}) == state_of({"w": weight.clone()})
        assert len(state_of({"w": weight})) == len(hash_weights({"w": weight}))


def test_a_model_is_hashed_once_while_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    def counted(parts: list[dict[str, Tensor]]) -> list[str]:
        hashed.append(len(parts))
        return hash_parts(parts)

    monkeypatch.setattr(dense, "hash_parts", counted)
    model = encoder(head=8)
    passages = FirstP() >> model.passages()
    frame = pd.DataFrame({"docno": ["d1", "d2"], "text": ["a cat", "a dog"]})
    made = [passages(frame)["encoding"].iloc[0].fingerprint for _ in range(3)]
    assert {*made, model.fingerprint()} == {made[0]}
    assert len(hashed) == 1
    for parameter in model.parameters():
        parameter.data.add_(1)
    changed = passages(frame)["encoding"].iloc[0].fingerprint
    assert changed == model.fingerprint() != made[0]
    assert len(hashed) == 2
