from __future__ import annotations

import gc
import logging
import weakref

import pytest
import torch

from ance_ir.device_memory import BatchSize
from ance_ir.errors import DeviceMemoryError

MUCH = 1 << 57
"""Bytes that no machine can address."""


def numbers(size: int, fits: int) -> torch.Tensor:
    """A tensor where ``size`` is at most ``fits``, else torch's own error."""
    return torch.empty(size if size <= fits else MUCH, dtype=torch.uint8)


def test_a_smaller_batch_is_tried_once_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    size, tried = BatchSize(1000, "tokens"), []

    def compute(count: int) -> int:
        tried.append(count)
        return len(numbers(count, 300))

    assert [size.run(compute), size.run(compute)] == [250, 250]
    assert (tried, size.size) == ([1000, 250, 250], 250)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "1,000 tokens" in caplog.text and "250" in caplog.text


def test_a_batch_that_is_still_too_large_is_an_error() -> None:
    size, tried = BatchSize(1000, "tokens"), []

    def compute(count: int) -> int:
        tried.append(count)
        return len(numbers(count, 100))

    for _ in range(2):
        with pytest.raises(DeviceMemoryError, match="250 tokens"):
            size.run(compute)
    assert tried == [1000, 250, 250]
    with pytest.raises(DeviceMemoryError, match="1 queries"):
        BatchSize(1, "queries").run(lambda _: len(numbers(1, 0)))


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
    ],
)
def test_only_a_lack_of_memory_is_answered(error: RuntimeError, again: bool) -> None:
    def compute(count: int) -> int:
        if count > 10:
            raise error
        return count

    size = BatchSize(20, "tokens")
    if again:
        assert size.run(compute) == 5
    else:
        with pytest.raises(RuntimeError) as raised:
            size.run(compute)
        assert raised.value is error and size.size == 20


def test_what_the_larger_batch_held_is_freed_before_the_smaller_one() -> None:
    """Without a collection of garbage: what is still held could be all the memory there is."""
    held: list[weakref.ref[torch.Tensor]] = []

    def compute(count: int) -> bool:
        if count < 8:
            return held[0]() is None
        tensor = torch.ones(count)
        held.append(weakref.ref(tensor))
        return bool(len(numbers(MUCH, 0)))

    gc.disable()
    try:
        assert BatchSize(8, "tokens").run(compute)
    finally:
        gc.enable()


@pytest.mark.gpu
def test_a_gpu_that_runs_out_of_memory() -> None:
    free = torch.cuda.mem_get_info()[0]
    size = BatchSize(free * 2, "bytes")
    assert len(size.run(lambda count: torch.empty(count, dtype=torch.uint8, device="cuda"))) == size.size == free // 2
