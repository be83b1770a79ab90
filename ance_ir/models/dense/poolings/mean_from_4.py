"""The mean over the tokens from position 4 on, after TCT-ColBERT's [CLS] [ Q ] and [CLS] [ D ]; zeros where there are none."""

from __future__ import annotations

import torch
from torch import Tensor

from ance_ir.models.dense.pooling import POOLINGS, Pooling

_FROM = 4


def _pool(hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    if mask_BL is None:
        mask_BL = torch.ones_like(hidden_BLH[:, :, 0])
    return POOLINGS["mean"].pool(hidden_BLH[:, _FROM:], mask_BL[:, _FROM:])


POOLING = Pooling(pool=_pool, shown=f"mean over tokens from position {_FROM} on")
