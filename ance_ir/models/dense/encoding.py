"""The encoding loop: texts in, vectors out. Queries, passages, documents and whole corpora all go through it.

A thread of its own tokenises the texts that come next while the model computes; tokenisers leave Python's lock. Texts go through in
windows: each is sorted by length and cut into batches. Windows depend on the texts alone, so threads change no vector. Only the window
that is encoded and what is tokenised ahead of it are held, however many texts there are.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ance_ir.device_memory import BatchSize
from ance_ir.float32 import exact_float32
from ance_ir.models.compute.batching import length_sorted_batches, pad_flat
from ance_ir.models.compute.inference import Progress, by_device, evaluating, token_budget
from ance_ir.models.dense.accelerated import accelerated
from ance_ir.models.dense.tower import Tower
from ance_ir.models.dense.unpadded import unpadded, unpads
from ance_ir.models.text.settings import Text
from ance_ir.models.text.tokens import Tokens, token_windows
from ance_ir.ragged import rows_of, starts_of

T = TypeVar("T")
U = TypeVar("U")
SomeText = TypeVar("SomeText", bound=Text)

Blocks = Generator[tuple[np.ndarray, np.ndarray]]
"""Of texts that follow one another: vectors of their passages, float32 ``[passages, D]``, and how many each text has, int64 ``[texts]``."""

WINDOW_TOKENS = {"cpu": 65_536, "cuda": 524_288}
"""Tokens that are sorted by length together: many batches, for little padding, and few enough to be tokenised ahead."""

PIECE = 128
"""Texts that are tokenised at once; an interruption waits for so many at most."""

PIECE_CHARACTERS = 1 << 18
"""Characters that are tokenised at once, if that is fewer texts; one text at least."""

_WIDTH, _LARGER = 768, 4
"""Of the backbone for which a GPU's batches were chosen, and how many times as large others are at most."""

LOOK_AHEAD = {"cpu": 8, "cuda": 64}
"""Pieces that are tokenised before they are needed: about a window of passages, so that the next one is there when a window is done."""


def encode(
    tower: Tower,
    texts: Iterable[SomeText],
    tokenize: Callable[[list[SomeText]], Iterable[Sequence[int]]],
    pad_id: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Vectors of texts.

    Args:
        tower: computes them.
        texts: of the type that ``tokenize`` takes.
        tokenize: token ids, special ones included, of each text of a list.
        pad_id: the token that pads.
        progress: called with the number of texts of each batch that is done.

    Returns:
        float32 ``[texts, D]``, in order.
    """
    passages = tokenized(pieces(texts), lambda piece: Tokens.of([ids] for ids in tokenize(piece)), tower.device)
    return gather(encode_windows(tower, passages, pad_id, progress), tower.dimension)[0]


def tokenized(some: Iterable[T], cut: Callable[[T], Tokens], device: torch.device) -> Generator[Tokens]:
    """Tokens of pieces of texts, in order; made ahead by a thread where there are several pieces.

    Args:
        some: the pieces; taken as they are needed.
        cut: makes tokens of a piece.
        device: where vectors will be computed, which decides how many pieces are cut ahead.
    """
    rest = iter(some)
    first = list(islice(rest, 2))
    made = ahead(cut, chain(first, rest), by_device(LOOK_AHEAD, device)) if len(first) > 1 else (cut(piece) for piece in first)
    with contextlib.closing(made):
        yield from made


def pieces(texts: Iterable[SomeText]) -> Iterator[list[SomeText]]:
    """Lists of texts that follow one another, each of them tokenised at once."""
    piece: list[SomeText] = []
    size = 0
    for text in texts:
        piece.append(text)
        size += len(text) if isinstance(text, str) else sum(map(len, text))
        if len(piece) >= PIECE or size >= PIECE_CHARACTERS:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def encode_windows(tower: Tower, texts: Generator[Tokens], pad_id: int, progress: Progress | None = None) -> Blocks:
    """Vectors of tokenised texts, a block for each window; memory is that of a window and of the longest text.

    Args:
        tower: computes them.
        texts: in pieces, which make no difference to windows; closed in the end.
        pad_id: the token that pads.
        progress: called with the number of passages of each batch that is done.
    """
    device, size = tower.device, BatchSize(batch_tokens(tower), "tokens")
    launched: deque[tuple[Callable[[], np.ndarray], np.ndarray]] = deque()
    with contextlib.closing(texts):
        for window in token_windows(texts, by_device(WINDOW_TOKENS, device)):
            launched.append((_launch(tower, window, pad_id, size, progress), window.counts_N))
            if len(launched) > (device.type == "cuda"):  # which has another window to compute while this one is put in order
                vectors, counts = launched.popleft()
                yield vectors(), counts
    for vectors, counts in launched:
        yield vectors(), counts


def gather(blocks: Blocks, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """All blocks as one."""
    vectors, counts = [np.zeros((0, dimension), dtype=np.float32)], [np.zeros(0, dtype=np.int64)]
    for block_PD, block_counts in blocks:
        vectors.append(block_PD)
        counts.append(block_counts)
    return np.concatenate(vectors), np.concatenate(counts)


def _launch(tower: Tower, window: Tokens, pad_id: int, size: BatchSize, progress: Progress | None) -> Callable[[], np.ndarray]:
    """Compute the vectors of a window's passages; what comes back waits for them, float32 ``[P, D]``, in the order given.

    On a GPU nothing waits for a batch: ids come from pinned memory, vectors go to pinned memory.
    """
    device = tower.device
    on_gpu = device.type == "cuda"
    lengths_P, starts_P = window.lengths_P, starts_of(window.lengths_P)
    sorted_PD = torch.empty((len(lengths_P), tower.dimension), dtype=torch.float32, pin_memory=on_gpu)
    order: list[np.ndarray] = []
    start = 0
    with torch.inference_mode(), exact_float32(), evaluating(tower), accelerated(tower, len(window.ids_T)) as (vectors, streams):

        def computed(batch: np.ndarray) -> Tensor:
            lengths_B = lengths_P[batch]
            ids_T = window.ids_T[rows_of(starts_P[batch], lengths_B)]
            if unpads(tower, lengths_B):
                return unpadded(tower, ids_T, lengths_B)
            shortest = lengths_B[-1]
            ids_BL, mask_BL = pad_flat(ids_T, lengths_B, pad_id, device)
            compute = vectors if shortest else tower  # where a text has no token, torch alone does not look at the padding
            return compute(ids_BL, mask_BL if shortest < ids_BL.shape[1] else None)

        def encoded(batch: np.ndarray) -> tuple[np.ndarray, Tensor]:
            parts = size.run(lambda tokens: [computed(batch[part]) for part in length_sorted_batches(lengths_P[batch], tokens)])
            return batch, parts[0] if len(parts) == 1 else torch.cat(parts)

        for batch, vectors_BD in _at_once(encoded, length_sorted_batches(lengths_P, size.size), streams):
            sorted_PD[start : start + len(batch)].copy_(vectors_BD, non_blocking=on_gpu)
            order.append(batch)
            start += len(batch)
            if progress is not None:
                progress(len(batch))
    done = torch.cuda.current_stream(device).record_event() if on_gpu else None

    def in_order() -> np.ndarray:
        if done is not None:
            done.synchronize()
        vectors_PD = np.empty(sorted_PD.shape, dtype=np.float32)
        vectors_PD[np.concatenate(order)] = sorted_PD.numpy()
        return vectors_PD

    return in_order


def batch_tokens(tower: Tower) -> int:
    """Tokens of a batch. On a GPU those of a small backbone are larger, so that it computes no faster than they are made."""
    budget = token_budget(tower.device)
    times = (_WIDTH / int(tower.backbone.config.hidden_size)) ** 2
    return int(budget * min(max(times, 1), _LARGER)) if tower.device.type == "cuda" else budget


def _at_once(function: Callable[[T], U], items: Iterable[T], count: int) -> Iterator[U]:
    """What a function makes of items, in order, so many at once; in this thread where that is one."""
    if count == 1:
        yield from map(function, items)
        return
    with (
        ThreadPoolExecutor(count, thread_name_prefix="batch") as threads,
        contextlib.closing(ahead(function, items, 2 * count, threads)) as made,
    ):
        yield from made


def ahead(function: Callable[[T], U], items: Iterable[T], depth: int, executor: Executor | None = None) -> Generator[U]:
    """What a function makes of items, in order, up to ``depth`` of them made before they are asked for.

    Exceptions of the function are raised here, in their place. After the generator is closed its thread ends with the current item.

    Args:
        function: makes one.
        items: read as they are needed.
        depth: how many.
        executor: where they are made; by default a thread of its own.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") if executor is None else contextlib.nullcontext(executor) as makers:
        waiting: deque[Future[U]] = deque()
        try:
            for item in items:
                waiting.append(makers.submit(function, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
