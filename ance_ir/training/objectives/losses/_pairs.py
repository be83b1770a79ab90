"""What losses over pairs have in common."""

import torch
from torch import Tensor


def mean_over_pairs(each_BN: Tensor, negative_BN: Tensor) -> Tensor:
    """The mean of a value of each pair of a positive and a negative, without negatives of −∞; 0 where there are no others."""
    there_BN = negative_BN != -torch.inf  # NaN counts, so that it shows
    return each_BN.masked_fill(~there_BN, 0).sum() / there_BN.sum().clamp(min=1)
