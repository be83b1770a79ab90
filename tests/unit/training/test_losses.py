"""Each loss against a value computed by hand, its gradient against differences, and what −∞ does to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from ance_ir.training import DISTILLATIONS, LOSSES

POSITIVE = [2.0, -1.0]
NEGATIVE = [[1.0, 3.0], [-1.0, 0.5]]
PAIRS = [(p, n) for p, row in zip(POSITIVE, NEGATIVE, strict=True) for n in row]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


BY_HAND: dict[str, float] = {
    "pairwise-nll": sum(-math.log(math.exp(p) / (math.exp(p) + math.exp(n))) for p, n in PAIRS) / 4,
    "nll": sum(-math.log(math.exp(p) / (math.exp(p) + sum(map(math.exp, row)))) for p, row in zip(POSITIVE, NEGATIVE, strict=True)) / 2,
    "bce": sum(-math.log(sigmoid(p)) - math.log(1 - sigmoid(n)) for p, n in PAIRS) / 4,
    "hinge": (0 + 2 + 1 + 2.5) / 4,
}


def test_every_loss_has_a_value_by_hand() -> None:
    assert BY_HAND.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_the_value_computed_by_hand(name: Any) -> None:
    assert float(LOSSES[name](torch.tensor(POSITIVE), torch.tensor(NEGATIVE))) == pytest.approx(BY_HAND[name], rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_negative_of_minus_infinity_is_none(name: Any) -> None:
    loss = LOSSES[name]
    filled = torch.tensor([[1.0, 3.0, -torch.inf], [-torch.inf, -1.0, 0.5]])
    assert float(loss(torch.tensor(POSITIVE), filled)) == pytest.approx(BY_HAND[name], rel=1e-6)
    positive = torch.tensor(POSITIVE, requires_grad=True)
    nothing = torch.full((2, 1), -torch.inf, requires_grad=True)
    loss(positive, nothing).backward()
    assert positive.grad is not None and positive.grad.tolist() == [0, 0]
    assert nothing.grad is not None and torch.isfinite(nothing.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_losses(name: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    positive = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True)
    negative = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LOSSES[name], (positive, negative))


@pytest.mark.parametrize("name", ["pairwise-nll", "nll", "bce"])
def test_losses_stay_finite_at_the_scores_of_the_released_models(name: Any) -> None:
    expected = {"pairwise-nll": 1400, "nll": 1400, "bce": 1400}
    assert float(LOSSES[name](torch.tensor([-700.0]), torch.tensor([[700.0]]))) == pytest.approx(expected[name])
    assert float(LOSSES[name](torch.tensor([700.0]), torch.tensor([[-700.0]]))) == 0


TAUGHT_POSITIVE, TAUGHT_NEGATIVE = [1.0, 0.0], [[0.0, 2.0], [-2.0, 1.0]]


def softmax(scores: list[float]) -> list[float]:
    return [math.exp(score) / sum(map(math.exp, scores)) for score in scores]


def kl_by_hand() -> float:
    total = 0.0
    for p, row, tp, trow in zip(POSITIVE, NEGATIVE, TAUGHT_POSITIVE, TAUGHT_NEGATIVE, strict=True):
        student, teacher = softmax([p, *row]), softmax([tp, *trow])
        total += sum(t * math.log(t / s) for s, t in zip(student, teacher, strict=True))
    return total / 2


DISTILLED: dict[str, Callable[[], float]] = {
    "margin-mse": lambda: ((1 - 1) ** 2 + (-1 - -1) ** 2 + (0 - 2) ** 2 + (-1.5 - -1) ** 2) / 4,
    "kl": kl_by_hand,
}


@pytest.mark.parametrize("name", DISTILLATIONS)
def test_distillations_have_the_value_computed_by_hand(name: Any) -> None:
    given = [torch.tensor(scores) for scores in (POSITIVE, NEGATIVE, TAUGHT_POSITIVE, TAUGHT_NEGATIVE)]
    assert float(DISTILLATIONS[name](*given)) == pytest.approx(DISTILLED[name](), rel=1e-6)
    assert float(DISTILLATIONS[name](*given[:2], *given[:2])) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", DISTILLATIONS)
def test_gradients_of_distillations(name: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    shapes = [(4,), (4, 3), (4,), (4, 3)]
    given = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    assert torch.autograd.gradcheck(DISTILLATIONS[name], (given[0].requires_grad_(), given[1].requires_grad_(), *given[2:]))
