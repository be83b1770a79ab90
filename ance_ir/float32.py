"""Matrix products in full float32, also in processes that allow TF32 elsewhere.

Trainers and notebooks allow TF32 on GPUs (``torch.backends.cuda.matmul.allow_tf32``, ``torch.set_float32_matmul_precision``); with
``"medium"`` oneDNN may take bfloat16 on CPUs too. Ten bits of each factor are enough for training, but not to distinguish close scores.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

_lock = threading.Lock()
_depth = 0
_restore: list[Callable[[], object]] = []


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """While entered, in any thread, float32 matrix products are not rounded to TF32 or bfloat16; afterwards the settings are restored."""
    global _depth
    with _lock:
        if _depth == 0:
            _restore[:] = [_set(*place) for place in _places()]
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for restore in _restore:
                    restore()


def _places() -> list[tuple[Any, str]]:
    """The objects that hold torch's setting: one for each backend in torch 2.9 and later, one in all before."""
    return [
        (backend.matmul, "fp32_precision")
        for backend in (torch.backends.cuda, torch.backends.mkldnn)
        if hasattr(getattr(backend, "matmul", None), "fp32_precision")
    ] or [(torch, "float32_matmul_precision")]


def _set(place: Any, name: str) -> Callable[[], object]:
    """Set float32 precision; returns a function that restores the old one."""
    if place is torch:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        return lambda: torch.set_float32_matmul_precision(before)
    kept = getattr(place, name)
    setattr(place, name, "ieee")
    return lambda: setattr(place, name, kept)
