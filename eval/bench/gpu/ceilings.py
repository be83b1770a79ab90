"""What the card can do: matrix products, copies in its memory, and copies to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ance_ir.eval.bench.figures import Figure
from ance_ir.eval.bench.gpu.place import Place
from ance_ir.float32 import exact_float32


def measured(place: Place) -> Iterator[Figure]:
    """The rates; they are put into ``place.rates``, too."""
    about = torch.cuda.get_device_name(place.device) if not place.small else "processor, small size"
    side = place.size(8192, 256)
    for name, dtype, precision in (
        ("bfloat16", torch.bfloat16, exact_float32()),
        ("float32", torch.float32, exact_float32()),
        ("TF32", torch.float32, _tf32()),
    ):
        one, other = (torch.randn(side, side, device=place.device).to(dtype) for _ in range(2))
        with precision:
            rate = 2 * side**3 / place.seconds(lambda: one @ other)  # noqa: B023
        place.rates[name] = rate
        yield Figure(table="card", case=about, what=f"product, {name}, TFLOP/s", value=rate / 1e12)
    count = place.size(1 << 28, 1 << 16)
    held = torch.zeros(count, device=place.device)
    rate = 2 * held.nbytes / place.seconds(lambda: held.clone())
    yield Figure(table="card", case=about, what="copy on the card, TB/s", value=rate / 1e12)
    if place.small:
        return
    for name, pinned in (("memory", False), ("pinned memory", True)):
        host = torch.zeros(count, pin_memory=pinned)
        place.rates[name] = host.nbytes / place.seconds(lambda: held.copy_(host, non_blocking=True))  # noqa: B023
        yield Figure(table="card", case=about, what=f"copy from {name}, GB/s", value=place.rates[name] / 1e9)


@contextlib.contextmanager
def _tf32() -> Iterator[None]:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        matmul.fp32_precision = before
