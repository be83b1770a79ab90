"""The mean over the tokens, special ones included."""

from __future__ import annotations

from torch import Tensor

from ance_ir.models.dense.pooling import Pooling


def _pool(hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    if mask_BL is None:
        return hidden_BLH.float().mean(1).to(hidden_BLH.dtype)
    weights_BL1 = mask_BL.unsqueeze(-1).float()  # a sum of many in half precision would lose digits
    return ((hidden_BLH.float() * weights_BL1).sum(1) / weights_BL1.sum(1).clamp(min=1)).to(hidden_BLH.dtype)


POOLING = Pooling(pool=_pool, shown="mean over tokens", mode="mean", flag="mean_tokens")
