"""The last token, special ones included, as of decoders, whose last token alone has seen all others."""

from __future__ import annotations

from torch import Tensor

from ance_ir.models.dense.pooling import Pooling


def _pool(hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    if mask_BL is None:
        return hidden_BLH[:, -1]
    last_B11 = (mask_BL.sum(1) - 1).clamp(min=0).view(-1, 1, 1)
    return hidden_BLH.gather(1, last_B11.expand(-1, 1, hidden_BLH.shape[2])).squeeze(1)


POOLING = Pooling(pool=_pool, shown="last token", mode="lasttoken", flag="lasttoken")
