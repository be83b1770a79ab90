"""Models that compute without training: dropout off, no gradients, batches of similar length."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from ance_ir.device_memory import BatchSize
from ance_ir.float32 import exact_float32
from ance_ir.models.compute.batching import length_sorted_batches
from ance_ir.models.compute.packing import packed_weights

Progress = Callable[[int], object]
"""Called with the number of texts that were just done."""

TOKEN_BUDGET = {"cpu": 1_024, "cuda": 32_768}
"""Tokens of an encoding batch, padding counted. On a CPU larger ones are slower: their activations outgrow its caches."""


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout off, and leave each module as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def in_batches(
    model: nn.Module, lengths: Sequence[int], device: torch.device, read: Callable[[np.ndarray], None], progress: Progress | None = None
) -> None:
    """Read sequences in batches of similar length, without dropout and gradients.

    Args:
        model: what ``read`` computes with.
        lengths: tokens of each sequence.
        device: where the model is.
        read: given the positions of a batch's sequences, int64, reads them; again, in parts, where memory ran out.
        progress: called with the number of sequences that a batch has finished.
    """
    with torch.inference_mode(), exact_float32(), evaluating(model), packed_weights(model, sum(lengths)):
        size, lengths_N = BatchSize(token_budget(device), "tokens"), np.asarray(lengths, dtype=np.int64)

        def read_in_parts(batch: np.ndarray, tokens: int) -> None:
            for part in length_sorted_batches(lengths_N[batch], tokens):
                read(batch[part])

        for batch in length_sorted_batches(lengths_N, size.size):
            size.run(partial(read_in_parts, batch))
            if progress is not None:
                progress(len(batch))


def token_budget(device: torch.device) -> int:
    """Tokens of an encoding batch on a device, padding counted."""
    return by_device(TOKEN_BUDGET, device)


def by_device(sizes: dict[str, int], device: torch.device) -> int:
    """A size for a device, of sizes by its type."""
    return sizes.get(device.type, sizes["cpu"])
