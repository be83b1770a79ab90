"""The maximum over the tokens in each dimension, special ones included."""

from __future__ import annotations

import torch
from torch import Tensor

from ance_ir.models.dense.pooling import Pooling


def _pool(hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    if mask_BL is None:
        return hidden_BLH.amax(1)
    lowest = torch.finfo(hidden_BLH.dtype).min
    return hidden_BLH.masked_fill(mask_BL.unsqueeze(-1) == 0, lowest).amax(1)


POOLING = Pooling(pool=_pool, shown="maximum over tokens", mode="max", flag="max_tokens")
