"""The mean over the tokens, special ones included, weighted by position: 1 for the first, 2 for the second (SGPT)."""

from __future__ import annotations

import torch
from torch import Tensor

from ance_ir.models.dense.pooling import Pooling


def _pool(hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    positions_1L1 = torch.arange(1, hidden_BLH.shape[1] + 1, dtype=torch.float32, device=hidden_BLH.device).view(1, -1, 1)
    weights = positions_1L1 if mask_BL is None else positions_1L1 * mask_BL.unsqueeze(-1).float()
    return ((hidden_BLH.float() * weights).sum(1) / weights.sum(1).clamp(min=1)).to(hidden_BLH.dtype)


POOLING = Pooling(pool=_pool, shown="mean weighted by position", mode="weightedmean", flag="weightedmean_tokens")
