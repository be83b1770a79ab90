"""Position 0."""

from __future__ import annotations

from torch import Tensor

from ance_ir.models.dense.pooling import Pooling


def _pool(hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    return hidden_BLH[:, 0]


POOLING = Pooling(pool=_pool, shown="position 0", mode="cls", flag="cls_token")
