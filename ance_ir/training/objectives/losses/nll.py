"""A softmax over the positive and all negatives of its query.

−log softmax([s⁺, s⁻₁, …, s⁻ₙ])₀, averaged over queries (DPR, equation 2); with one negative it is ``pairwise-nll``.
"""

import torch
from torch import Tensor, nn


def loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Negative log-likelihood of the positive among itself and the negatives of its query."""
    scores_BK = torch.cat([positive_B.unsqueeze(1), negative_BN], dim=1)
    return -nn.functional.log_softmax(scores_BK, dim=1)[:, 0].mean()
