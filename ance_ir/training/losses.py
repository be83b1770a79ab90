"""Losses over scores. Shapes: B queries, N negatives a query."""

from __future__ import annotations

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
