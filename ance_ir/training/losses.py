"""Losses over scores. Shapes: B queries, N negatives a query."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def pairwise_nll(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Negative log-likelihood of the positive in each pair, averaged over pairs (paper, equation 6).

    −log softmax([s⁺, s⁻])₀ = softplus(s⁻ − s⁺).

    Args:
        positive_B: scores of the positives, divided by the temperature.
        negative_BN: scores of the negatives, likewise.

    Returns:
        A scalar.
    """
    return nn.functional.softplus(negative_BN - positive_B.unsqueeze(1)).mean()


def softmax_cross_entropy(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Negative log-likelihood of the positive among itself and all negatives of its query, averaged over queries.

    −log softmax([s⁺, s⁻₁, …, s⁻ₙ])₀; with one negative it is ``pairwise_nll``.

    Args:
        positive_B: scores of the positives, divided by the temperature.
        negative_BN: scores of the negatives, likewise.

    Returns:
        A scalar.
    """
    scores_BK = torch.cat([positive_B.unsqueeze(1), negative_BN], dim=1)
    return -nn.functional.log_softmax(scores_BK, dim=1)[:, 0].mean()


def hinge(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """How far each negative is from scoring 1 less than its positive, averaged over pairs: max(0, 1 − s⁺ + s⁻).

    Args:
        positive_B: scores of the positives, divided by the temperature.
        negative_BN: scores of the negatives, likewise.

    Returns:
        A scalar.
    """
    return nn.functional.relu(1 - positive_B.unsqueeze(1) + negative_BN).mean()
