"""A pooling makes one vector of a text's token vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ance_ir import registries
from ance_ir.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """A pooling.

    Attributes:
        pool: pools hidden states ``[B, L, H]`` under their mask ``[B, L]``, 1 on tokens and 0 on the padding after them, ``None`` where
            there is no padding; gives ``[B, H]`` of the same type. It is made of tensor operations only, which OpenVINO can trace.
        shown: what ``ance-ir info`` calls it.
        mode: its name in ``pooling_mode`` of sentence-transformers; ``None`` where it has none there, and a folder has our name.
        flag: what its older setting there has after ``pooling_mode_``: ``mean`` has the mode ``mean`` and the flag ``mean_tokens``.
    """

    pool: Callable[[Tensor, Tensor | None], Tensor]
    shown: str
    mode: str | None = None
    flag: str | None = None


POOLINGS: Registry[Pooling] = registries.POOLINGS


def pooling_names(text: str) -> list[str]:
    """The names in the text of a pooling: one, or several with + between them, whose vectors are put one after the other.

    Raises:
        UsageError: one is no pooling.
    """
    return [POOLINGS.check(name.strip()) for name in str(text).split("+")]


def pool(text: str, hidden_BLH: Tensor, mask_BL: Tensor | None) -> Tensor:
    """What a pooling, or several, make of hidden states; see ``Pooling.pool``. Several give ``[B, n · H]``."""
    pooled = [POOLINGS[name].pool(hidden_BLH, mask_BL) for name in pooling_names(text)]
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=-1)
