"""Inner products of queries and a block of vectors, by the fastest method measured: see docs/benchmarks.md.

Shapes: Q queries, N rows of a block, D dimensions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch

from ance_ir.float32 import exact_float32
from ance_ir.indexes.search.threads import deal, in_threads
from ance_ir.models.compute.packing import onednn

_NUMBERS_OF_THREAD = 1 << 21
"""Numbers of the vectors for which starting a thread pays."""


def inner_products(queries_QD: torch.Tensor, block_ND: torch.Tensor) -> torch.Tensor:
    """Float32 ``[Q, N]``, on one device, even where TF32, bfloat16 or autocast are switched on.

    On a CPU torch hands products to MKL, which uses AVX-512 on Intel's processors alone; oneDNN uses it on all. A GPU multiplies float16
    vectors as they are.

    Args:
        queries_QD: float32.
        block_ND: float32 or float16.
    """
    kind = queries_QD.device.type
    with exact_float32(), torch.autocast(kind, enabled=False):
        if kind == "cuda" and block_ND.dtype == torch.float16:
            return of_halves(queries_QD, lambda halves_PD: torch.mm(halves_PD, block_ND.T, out_dtype=torch.float32))
        block_ND = block_ND.float()
        if kind == "cpu" and len(queries_QD) == 1:
            return torch.from_numpy(_of_one_query(queries_QD[0].numpy(), block_ND.numpy())[None])
        if kind == "cpu" and onednn():
            scores_QN: torch.Tensor = torch.ops.mkldnn._linear_pointwise(queries_QD, block_ND, None, "none", [], "")
            return scores_QN
        return queries_QD @ block_ND.T


def of_halves(queries_QD: torch.Tensor, multiply: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Products of float32 queries by a product of float16 ones, which GPUs compute many times as fast.

    A query is scaled by a power of two and split into two float16 numbers in each dimension, the second 2¹¹ times as large as it counts.
    What they lack is 2⁻²² of the number at most, less than float32 sums lose.

    Args:
        queries_QD: float32.
        multiply: from float16 ``[2Q, D]`` to their products, exact in float32 sums, ``[2Q, N]``.

    Returns:
        float32 ``[Q, N]``.
    """
    exponent_Q1 = torch.frexp(queries_QD.abs().amax(dim=1, keepdim=True)).exponent.clamp(min=-100)
    scaled_QD = torch.ldexp(queries_QD, 15 - exponent_Q1)  # below 2¹⁵, so that half of what float16 can hold is left unused
    first_QD = scaled_QD.half()
    second_QD = ((scaled_QD - first_QD.float()) * 2.0**11).half()
    first_QN, second_QN = multiply(torch.cat([first_QD, second_QD])).chunk(2)
    return torch.ldexp(first_QN.add_(second_QN, alpha=2.0**-11), exponent_Q1 - 15)


def _of_one_query(query_D: np.ndarray, block_ND: np.ndarray) -> np.ndarray:
    """Float32 ``[N]``. Memory is the limit: an inner product for each row, in as many threads as torch uses, reads it fastest.

    numpy's matrix product is as fast, but its threads keep spinning for a tenth of a second and slow down what follows.
    """
    scores_N = np.empty(len(block_ND), dtype=np.float32)

    def compute(part: slice) -> None:
        np.vecdot(block_ND[part], query_D, out=scores_N[part])

    count = max(1, min(torch.get_num_threads(), block_ND.size // _NUMBERS_OF_THREAD))
    in_threads([functools.partial(compute, part) for part in deal(0, len(block_ND), count)])
    return scores_N


def as_tensor(vectors: np.ndarray) -> torch.Tensor:
    """A tensor of the same memory, for reading only."""
    return torch.from_numpy(np.asarray(_Readable(vectors)))


class _Readable:
    """An array that says it may be written: torch warns of others, such as memory maps."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array  # is kept as long as what is made of it
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
