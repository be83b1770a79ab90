"""A device that runs out of memory is given smaller batches: once, and that is reported.

How much memory a batch takes is known roughly, and others may use the same GPU. A size that proves too large is made smaller for good, so
that batches that fit are as fast as before, and none is tried again and again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from ance_ir.errors import DeviceMemoryError

T = TypeVar("T")

logger = logging.getLogger(__name__)

_SMALLER = 4
"""Once, so by a factor that leaves room for what others take meanwhile."""


class BatchSize:
    """A size of batches, divided by four when a device first runs out of memory.

    Args:
        size: to begin with.
        unit: what it counts, for the warning and the error: ``"tokens"``.

    Attributes:
        size: the present one, at least 1.
    """

    def __init__(self, size: int, unit: str) -> None:
        self.size = size
        self._unit = unit
        self._reduced = False

    def run(self, compute: Callable[[int], T]) -> T:
        """What ``compute`` makes with the size; called again with the smaller one if that did not fit.

        Raises:
            DeviceMemoryError: the smaller one does not fit either.
        """
        before = self.size
        try:
            return compute(before)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if self._reduced or before == 1:
                raise DeviceMemoryError(
                    f"out of memory, even with batches of {self.size:,} {self._unit}: {_reason(error)}. "
                    "Free the device's memory (nvidia-smi lists who uses it), or take another device (--device cpu)"
                ) from error
        # Only here, where the exception is gone, are the tensors of its frames gone too.
        torch.cuda.empty_cache()
        self._reduced, self.size = True, max(1, before // _SMALLER)
        logger.warning("out of memory with batches of %s %s; from now on they have %s", f"{before:,}", self._unit, f"{self.size:,}")
        return self.run(compute)


@contextlib.contextmanager
def enough_memory(remedy: str) -> Iterator[None]:
    """For what cannot be done in smaller batches.

    Args:
        remedy: what to do where a device runs out of memory.

    Raises:
        DeviceMemoryError: it did.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceMemoryError(f"out of memory: {_reason(error)}. {remedy}") from error


def _reason(error: RuntimeError) -> str:
    return ". ".join(" ".join(str(error).split()).split(". ")[:3]).rstrip(".")  # advice for programmers follows


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch, or a library of NVIDIA's that it called, found no memory, on a GPU or a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in ("ALLOC_FAILED", "can't allocate memory"))
