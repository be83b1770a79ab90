"""The squared difference between the student's and the teacher's margins.

((s⁺ − s⁻) − (t⁺ − t⁻))², averaged over pairs (Hofstätter et al. 2020).
"""

from torch import Tensor, nn


def loss(positive_B: Tensor, negative_BN: Tensor, taught_positive_B: Tensor, taught_negative_BN: Tensor) -> Tensor:
    """Mean squared error of the margins between positives and negatives."""
    return nn.functional.mse_loss(positive_B.unsqueeze(1) - negative_BN, taught_positive_B.unsqueeze(1) - taught_negative_BN)
