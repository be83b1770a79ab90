"""Batches of sequences of similar length, which need little padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")

WINDOW = 8192
"""Documents that PyTerrier should hand over at once; its own 100 are too few to sort by length."""


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last one shorter."""
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def length_sorted_batches(lengths: Sequence[int] | np.ndarray, token_budget: int) -> Iterator[np.ndarray]:
    """Positions of sequences in batches of similar length, longest first.

    Longest first, so that running out of memory shows at once. A batch holds at most ``token_budget`` tokens with its padding, and at
    least one sequence.

    Args:
        lengths: tokens of each sequence.
        token_budget: tokens of a batch, padding counted.

    Yields:
        int64 arrays that together hold each position once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, token_budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def pad(sequences: Sequence[Sequence[int] | np.ndarray], pad_id: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Pad token ids on the right; see ``pad_flat``."""
    lengths_B = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    return pad_flat(np.fromiter(chain.from_iterable(sequences), dtype=np.int64), lengths_B, pad_id, device)


def pad_flat(ids_T: np.ndarray, lengths_B: np.ndarray, pad_id: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Pad token ids on the right. To a GPU they go from pinned memory, and nothing waits for it.

    Args:
        ids_T: whole numbers, sequence after sequence.
        lengths_B: tokens of each sequence.
        pad_id: the token that pads.
        device: where to.

    Returns:
        ids and mask, both int64 ``[B, L]`` with L the longest sequence; the mask is 1 on tokens, 0 on padding.
    """
    mask_BL = np.arange(max(1, lengths_B.max())) < lengths_B[:, None]
    ids_BL = np.full(mask_BL.shape, pad_id, dtype=np.int64)
    ids_BL[mask_BL] = ids_T
    return transferred(ids_BL, device), transferred(mask_BL.astype(np.int64), device)


def transferred(array: np.ndarray, device: torch.device | str) -> Tensor:
    """An array as a tensor on a device; to a GPU it goes from pinned memory, and nothing waits for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else tensor.to(device)
