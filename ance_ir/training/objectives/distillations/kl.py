"""KL divergence from the teacher's distribution over a query's documents.

KL(softmax(t) ‖ softmax(s)) over the positive and its negatives, averaged over queries.
"""

import torch
from torch import Tensor, nn


def loss(positive_B: Tensor, negative_BN: Tensor, taught_positive_B: Tensor, taught_negative_BN: Tensor) -> Tensor:
    """Kullback–Leibler divergence of the student from the teacher."""
    student_BK = torch.cat([positive_B.unsqueeze(1), negative_BN], dim=1).log_softmax(1)
    teacher_BK = torch.cat([taught_positive_B.unsqueeze(1), taught_negative_BN], dim=1).log_softmax(1)
    return nn.functional.kl_div(student_BK, teacher_BK, reduction="batchmean", log_target=True)
