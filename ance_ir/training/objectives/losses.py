"""Losses over scores. Shapes: B queries, N negatives a query.

Scores are divided by the temperature before they come here. A negative of −∞ is none: batches whose queries have different numbers of
negatives are filled up with them. Each loss is averaged over what it counts: pairs, or queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

LossName = Literal["pairwise-nll", "nll", "bce", "hinge"]
DistillationName = Literal["margin-mse", "kl"]


def pairwise_nll(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Negative log-likelihood of the positive in each pair, averaged over pairs (paper, equation 6).

    −log softmax([s⁺, s⁻])₀ = softplus(s⁻ − s⁺).
    """
    return _mean_over_pairs(nn.functional.softplus(negative_BN - positive_B.unsqueeze(1)), negative_BN)


def nll(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Negative log-likelihood of the positive among itself and all negatives of its query, averaged over queries (DPR, equation 2).

    −log softmax([s⁺, s⁻₁, …, s⁻ₙ])₀; with one negative it is ``pairwise_nll``.
    """
    scores_BK = torch.cat([positive_B.unsqueeze(1), negative_BN], dim=1)
    return -nn.functional.log_softmax(scores_BK, dim=1)[:, 0].mean()


def bce(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Binary cross-entropy of each pair's positive and negative, −log σ(s⁺) − log σ(−s⁻), averaged over pairs (paper, section 6.3)."""
    each_BN = nn.functional.softplus(-positive_B).unsqueeze(1) + nn.functional.softplus(negative_BN)
    return _mean_over_pairs(each_BN, negative_BN)


def hinge(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """How far each negative is from scoring 1 less than its positive, max(0, 1 − s⁺ + s⁻), averaged over pairs (paper, section 6.3)."""
    return _mean_over_pairs(nn.functional.relu(1 - positive_B.unsqueeze(1) + negative_BN), negative_BN)


def margin_mse(positive_B: Tensor, negative_BN: Tensor, taught_positive_B: Tensor, taught_negative_BN: Tensor) -> Tensor:
    """Squared difference of the student's and the teacher's margin s⁺ − s⁻, averaged over pairs (Hofstätter et al. 2020)."""
    margin_BN = positive_B.unsqueeze(1) - negative_BN
    taught_BN = taught_positive_B.unsqueeze(1) - taught_negative_BN
    return nn.functional.mse_loss(margin_BN, taught_BN)


def kl(positive_B: Tensor, negative_BN: Tensor, taught_positive_B: Tensor, taught_negative_BN: Tensor) -> Tensor:
    """Kullback–Leibler divergence of the student's distribution over a query's documents from the teacher's, averaged over queries."""
    student_BK = torch.cat([positive_B.unsqueeze(1), negative_BN], dim=1).log_softmax(1)
    teacher_BK = torch.cat([taught_positive_B.unsqueeze(1), taught_negative_BN], dim=1).log_softmax(1)
    return nn.functional.kl_div(student_BK, teacher_BK, reduction="batchmean", log_target=True)


LOSSES: Mapping[LossName, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"pairwise-nll": pairwise_nll, "nll": nll, "bce": bce, "hinge": hinge}
)
DISTILLATIONS: Mapping[DistillationName, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {"margin-mse": margin_mse, "kl": kl}
)


def _mean_over_pairs(each_BN: Tensor, negative_BN: Tensor) -> Tensor:
    there_BN = negative_BN != -torch.inf  # what is no number counts, so that it shows
    return each_BN.masked_fill(~there_BN, 0).sum() / there_BN.sum().clamp(min=1)
