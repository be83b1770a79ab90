"""Matrix products in full float32, also in processes that allow less elsewhere.

Trainers and notebooks allow TF32 on GPUs (``torch.backends.cuda.matmul.allow_tf32``, ``torch.set_float32_matmul_precision``); with
``"medium"`` oneDNN may take bfloat16 on CPUs too. Ten bits of each factor are enough for training, but not to distinguish close scores.
Neither are sums in float16 (``torch.backends.cuda.matmul.allow_fp16_accumulation``).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

_BACKENDS: Any = torch.backends

_EXACT: list[tuple[Any, str, object]] = [
    (_BACKENDS.cuda.matmul, "fp32_precision", "ieee"),
    (_BACKENDS.mkldnn.matmul, "fp32_precision", "ieee"),
    (_BACKENDS.cuda.matmul, "allow_fp16_accumulation", False),
]
"""torch's settings, by object and name, and what they are while products are exact."""

_lock = threading.Lock()
_depth = 0
_before: list[object] = []


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """While entered, in any thread, factors of float32 products are not rounded, and products of float16 are summed in float32.

    Afterwards the settings are restored.
    """
    global _depth
    with _lock:
        if _depth == 0:
            _before[:] = [getattr(place, name) for place, name, _ in _EXACT]
            for place, name, exact in _EXACT:
                setattr(place, name, exact)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for (place, name, _), before in zip(_EXACT, _before, strict=True):
                    setattr(place, name, before)
