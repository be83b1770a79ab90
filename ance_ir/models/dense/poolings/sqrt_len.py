"""The sum over the tokens, special ones included, divided by the square root of their number."""

from __future__ import annotations

import math

from torch import Tensor

from ance_ir.models.dense.pooling import Pooling


def _pool(hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    if mask_BL is None:
        return (hidden_BLH.float().sum(1) / math.sqrt(hidden_BLH.shape[1])).to(hidden_BLH.dtype)
    weights_BL1 = mask_BL.unsqueeze(-1).float()  # a sum of many in half precision would lose digits
    return ((hidden_BLH.float() * weights_BL1).sum(1) / weights_BL1.sum(1).clamp(min=1).sqrt()).to(hidden_BLH.dtype)


POOLING = Pooling(pool=_pool, shown="sum over tokens / √tokens", mode="mean_sqrt_len_tokens", flag="mean_sqrt_len_tokens")
