"""Losses against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ance_ir.training import pairwise_nll


def test_pairwise_nll_is_minus_log_of_a_softmax_over_each_pair() -> None:
    positive, negative = torch.tensor([2.0, -1.0]), torch.tensor([[1.0, 3.0], [-1.0, 0.0]])
    pairs = [(2, 1), (2, 3), (-1, -1), (-1, 0)]
    expected = sum(-math.log(math.exp(p) / (math.exp(p) + math.exp(n))) for p, n in pairs) / 4
    assert float(pairwise_nll(positive, negative)) == pytest.approx(expected, rel=1e-6)


def test_pairwise_nll_stays_finite_at_the_scores_of_the_released_models() -> None:
    assert float(pairwise_nll(torch.tensor([-700.0]), torch.tensor([[700.0]]))) == pytest.approx(1400)
    assert float(pairwise_nll(torch.tensor([700.0]), torch.tensor([[-700.0]]))) == 0


def test_gradient_of_pairwise_nll() -> None:
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    negative = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pairwise_nll, (positive, negative))
