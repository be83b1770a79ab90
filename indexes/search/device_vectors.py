"""Vectors as tensors of a GPU: resident where they fit, else sent for each search, while the blocks sent before are searched.

Shapes: N rows of a block, D dimensions.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ance_ir.device_memory import BatchSize
from ance_ir.indexes.search.products import as_tensor
from ance_ir.indexes.search.threads import deal
from ance_ir.indexes.store.vectors import VectorStore
from ance_ir.models.dense.encoding import ahead
from ance_ir.world import started_together

logger = logging.getLogger(__name__)

_LEFT = 8
"""A GPU's memory divided by this is left to models, and to the search itself."""

_LOADED = 1 << 16
"""Rows that are sent together to stay."""

_BUFFERS = 2
"""Blocks in pinned memory: one is filled while the other is sent."""


class DeviceVectors:
    """The vectors of a store on one device, or dealt to several GPUs.

    They stay as long as this object where they fit: on the GPU that is named, or on all that this process sees where none is, or where that
    one is too small; processes that torchrun started keep to their own. Elsewhere ``parts`` sends them to the device each time.

    Args:
        store: the vectors.
        device: ``"cuda"``, ``"cuda:1"``, or any other of torch's.
        hold: whether they stay there; by default where they fit, on GPUs.

    Attributes:
        store: the vectors.
        device: where what was found is joined.
        resident: first row and vectors as stored, ``[rows, D]``, of what is held on each device; empty if they do not fit.
        sizes: of the blocks of its searchers, by their memory budget: one that is too large is made smaller for all of them.
    """

    def __init__(self, store: VectorStore, device: str | torch.device, *, hold: bool | None = None) -> None:
        self.store = store
        self.device = torch.device(device)
        self.sizes: dict[int, BatchSize] = {}
        devices = next((some for some in _choices(self.device) if (_fit(store, some) if hold is None else hold)), [])
        shares = deal(0, len(store), max(1, len(devices)))
        try:
            self.resident = [(share.start, _hold(store, share, one)) for one, share in zip(devices, shares, strict=False)]
        except torch.OutOfMemoryError:  # what torch keeps may be in pieces
            self.resident = []
            logger.warning("%s: its vectors do not fit on %s after all; each search sends them", store.folder, self.device)

    def parts(self, rows: int) -> Iterator[tuple[torch.device, Iterator[tuple[int, Tensor]]]]:
        """For each device that vectors are on its blocks: first row and vectors as stored, ``[≤ rows, D]``."""
        if not self.resident:
            yield self.device, _sent(self.store, rows, self.device)
        for first, held_ND in self.resident:
            yield held_ND.device, zip(range(first, first + len(held_ND), rows), held_ND.split(rows), strict=False)


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that vectors may fill, those that torch keeps unused included; 0 of any other device."""
    if device.type != "cuda":
        return 0
    free, total = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device) - total // _LEFT


def _choices(device: torch.device) -> list[list[torch.device]]:
    """Devices that may hold the vectors, the best first."""
    if device.type != "cuda":
        return [[device]]
    everyone = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    if str(device) == "cuda":
        return [everyone]
    return [[device], everyone] if started_together() == 1 else [[device]]


def _fit(store: VectorStore, devices: list[torch.device]) -> bool:
    each = -(-len(store) // len(devices)) * store.dimension * store.dtype.itemsize
    return all(each <= free_memory(device) for device in devices)


def _hold(store: VectorStore, share: slice, device: torch.device) -> Tensor:
    """The rows of a share, on a device."""
    held_ND = torch.empty((share.stop - share.start, store.dimension), dtype=_type(store), device=device)
    for first, vectors in store.blocks(_LOADED, share.start, share.stop):
        held_ND[first - share.start :][: len(vectors)].copy_(as_tensor(vectors))
    return held_ND


def _sent(store: VectorStore, rows: int, device: torch.device) -> Iterator[tuple[int, Tensor]]:
    """Blocks that are read by a thread and sent in a stream of their own, each while the one before is in use."""
    on_gpu = device.type == "cuda"
    stream = torch.cuda.Stream(device) if on_gpu else None
    pinned = [torch.empty((rows, store.dimension), dtype=_type(store), pin_memory=on_gpu) for _ in range(_BUFFERS)]
    sent: list[torch.cuda.Event | None] = [None] * _BUFFERS

    def send(numbered: tuple[int, tuple[int, np.ndarray]]) -> tuple[int, Tensor, torch.cuda.Event | None]:
        number, (first, vectors) = numbered
        place = number % _BUFFERS
        if (event := sent[place]) is not None:
            event.synchronize()
        buffer = pinned[place][: len(vectors)]
        buffer.copy_(as_tensor(vectors))
        with torch.cuda.stream(stream) if stream is not None else contextlib.nullcontext():
            block_ND = buffer.to(device, non_blocking=True, copy=True)
        sent[place] = None if stream is None else stream.record_event()
        return first, block_ND, sent[place]

    with contextlib.closing(ahead(send, enumerate(store.blocks(rows)), _BUFFERS - 1)) as blocks:
        for first, block_ND, event in blocks:
            if event is not None:
                using = torch.cuda.current_stream(device)
                using.wait_event(event)
                block_ND.record_stream(using)  # its memory belongs to the other stream, which must not take it back too early
            yield first, block_ND


def _type(store: VectorStore) -> torch.dtype:
    return torch.float16 if store.dtype == np.float16 else torch.float32
