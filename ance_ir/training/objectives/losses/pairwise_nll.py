"""Each negative against its positive, a softmax over two.

−log softmax([s⁺, s⁻])₀ = softplus(s⁻ − s⁺), averaged over pairs (paper, equation 6).
"""

from torch import Tensor, nn

from ance_ir.training.objectives.losses._pairs import mean_over_pairs


def loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Negative log-likelihood of the positive in each pair."""
    return mean_over_pairs(nn.functional.softplus(negative_BN - positive_B.unsqueeze(1)), negative_BN)
