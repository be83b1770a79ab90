"""The encoding loop: texts in, vectors out. Queries, passages, documents and whole corpora all go through it.

A thread of its own tokenises the texts that come next while the model computes; tokenisers leave Python's lock. Texts go through in
windows: each is sorted by length and cut into batches. Windows depend on the texts alone, so threads change no vector.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from ance_ir.models.batching import chunks, length_sorted_batches, pad, token_windows
from ance_ir.models.packing import packed_weights
from ance_ir.models.tower import Tower

T = TypeVar("T")

Progress = Callable[[int], object]
"""Called with the number of texts that were just done."""

TOKEN_BUDGET = {"cpu": 1_024, "cuda": 32_768}
"""Tokens of an encoding batch, padding counted. On a CPU larger ones are slower: their activations outgrow its caches."""

WINDOW_TOKENS = {"cpu": 65_536, "cuda": 524_288}
"""Tokens that are sorted by length together: many batches, for little padding, and few enough to be tokenised ahead."""

PIECE = 128
"""Texts that are tokenised at once; an interruption waits for so many at most."""

LOOK_AHEAD = 8
"""Pieces that are tokenised before they are needed."""


def encode(
    tower: Tower,
    texts: Sequence[T],
    tokenize: Callable[[list[T]], Iterable[Sequence[int]]],
    pad_id: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Vectors of texts.

    Args:
        tower: computes them.
        texts: whatever ``tokenize`` takes.
        tokenize: token ids, special ones included, of a list of texts; it may give more or fewer sequences than texts.
        pad_id: the token that pads.
        progress: called with the number of sequences of each batch that is done.

    Returns:
        float32 ``[sequences, D]``, in order.
    """
    pieces: Generator[list[np.ndarray]] = ([np.asarray(ids, dtype=np.int32) for ids in tokenize(piece)] for piece in chunks(texts, PIECE))
    if len(texts) > PIECE:
        pieces = ahead(pieces, LOOK_AHEAD)
    vectors = [np.zeros((0, tower.dimension), dtype=np.float32)]
    with contextlib.ExitStack() as stack, torch.inference_mode():
        stack.enter_context(contextlib.closing(pieces))
        stack.enter_context(evaluating(tower))
        for window in token_windows(chain.from_iterable(pieces), _of(WINDOW_TOKENS, tower.device)):
            with packed_weights(tower, sum(map(len, window))):
                vectors.append(_encode_window(tower, window, pad_id, progress))
    return np.concatenate(vectors)


def _encode_window(tower: Tower, sequences: list[np.ndarray], pad_id: int, progress: Progress | None) -> np.ndarray:
    """Vectors of token ids, float32 ``[len(sequences), D]``, in the order given.

    On a GPU nothing waits for a batch: ids come from pinned memory, vectors go to pinned memory, and the host waits once, at the end.
    """
    device = tower.device
    on_gpu = device.type == "cuda"
    sorted_ND = torch.empty((len(sequences), tower.dimension), dtype=torch.float32, pin_memory=on_gpu)
    lengths = [len(sequence) for sequence in sequences]
    order: list[np.ndarray] = []
    start = 0
    for batch in length_sorted_batches(lengths, token_budget(device)):
        ids_BL, mask_BL = pad([sequences[i] for i in batch], pad_id, device)
        padded = lengths[batch[-1]] < ids_BL.shape[1]
        vectors_BD = tower(ids_BL, mask_BL if padded else None)
        sorted_ND[start : start + len(batch)].copy_(vectors_BD, non_blocking=on_gpu)
        order.append(batch)
        start += len(batch)
        if progress is not None:
            progress(len(batch))
    if on_gpu:
        torch.cuda.synchronize(device)
    vectors_ND = np.empty(sorted_ND.shape, dtype=np.float32)
    vectors_ND[np.concatenate(order)] = sorted_ND.numpy()
    return vectors_ND


def ahead(items: Iterable[T], depth: int) -> Generator[T]:
    """The same items, made in a thread of its own up to ``depth`` before they are asked for.

    What is raised in that thread is raised here, in its place. Closing the generator ends the thread after the item it is at.
    """
    end: Any = object()
    stream = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        waiting: deque[Future[Any]] = deque()
        try:
            waiting.extend(thread.submit(next, stream, end) for _ in range(depth))
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(next, stream, end))
                yield item
        finally:
            for future in waiting:
                future.cancel()


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


def token_budget(device: torch.device) -> int:
    """Tokens of an encoding batch on a device, padding counted."""
    return _of(TOKEN_BUDGET, device)


def _of(sizes: dict[str, int], device: torch.device) -> int:
    return sizes.get(device.type, sizes["cpu"])
