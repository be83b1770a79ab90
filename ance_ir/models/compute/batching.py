"""Batches of sequences of similar length, which need little padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
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


def token_windows(texts: Iterable[Sequence[np.ndarray]], tokens: int) -> Iterator[list[Sequence[np.ndarray]]]:
    """Lists of texts that follow one another and whose passages together have at least so many tokens, the last one fewer."""
    window: list[Sequence[np.ndarray]] = []
    size = 0
    for passages in texts:
        window.append(passages)
        size += sum(map(len, passages))
        if size >= tokens:
            yield window
            window, size = [], 0
    if window:
        yield window


def length_sorted_batches(lengths: Sequence[int], token_budget: int) -> Iterator[np.ndarray]:
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
    """Pad token ids on the right. To a GPU they go from pinned memory, and nothing waits for it.

    Returns:
        ids and mask, both int64 ``[B, L]`` with L the longest sequence; the mask is 1 on tokens, 0 on padding.
    """
    length = max(1, max(map(len, sequences)))
    ids = np.full((len(sequences), length), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return _transfer(ids, device), _transfer(mask, device)


def _transfer(array: np.ndarray, device: torch.device | str) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else tensor.to(device)
