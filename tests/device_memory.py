"""Methods that run out of memory with batches that are large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def fitting(encode: Callable[..., Any], most: int) -> Callable[..., Any]:
    """A method of sentence-transformers that finds no memory for batches of more texts than ``most``."""

    def encoded(texts: list[str], *, batch_size: int, **options: Any) -> Any:
        if batch_size > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return encode(texts, batch_size=batch_size, **options)

    return encoded
