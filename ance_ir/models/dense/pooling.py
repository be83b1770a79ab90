"""A pooling makes one vector of a text's token vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        mode: its name in ``pooling_mode`` of sentence-transformers.
        flag: what its older setting there has after ``pooling_mode_``: ``mean`` has the mode ``mean`` and the flag ``mean_tokens``.
    """

    pool: Callable[[Tensor, Tensor | None], Tensor]
    shown: str
    mode: str
    flag: str


POOLINGS: Registry[Pooling] = registries.POOLINGS
