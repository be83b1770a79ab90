"""Each negative should score at least 1 less than its positive.

max(0, 1 − s⁺ + s⁻), averaged over pairs (paper, section 6.3).
"""

from torch import Tensor, nn

from ance_ir.training.objectives.losses._pairs import mean_over_pairs


def loss(positive_B: Tensor, negative_BN: Tensor) -> Tensor:
    """Hinge loss of each pair, with a margin of 1."""
    return mean_over_pairs(nn.functional.relu(1 - positive_B.unsqueeze(1) + negative_BN), negative_BN)
