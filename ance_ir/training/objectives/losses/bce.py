"""Binary cross-entropy of the positive and of each negative.

−log σ(s⁺) − log σ(−s⁻), averaged over pairs (paper, section 6.3).
"""

from torch import Tensor, nn

from ance_ir.training.objectives.losses._pairs import mean_over_pairs


def loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Binary cross-entropy of each pair."""
    each_BN = nn.functional.softplus(-positive_B).unsqueeze(1) + nn.functional.softplus(negative_BN)
    return mean_over_pairs(each_BN, negative_BN)
